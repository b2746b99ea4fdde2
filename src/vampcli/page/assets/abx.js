"use strict";

/** A blind test: X is A or B, drawn anew for every answer. */
class BlindTest {
  constructor() {
    this.reset();
  }

  reset() {
    this.right = 0;
    this.trials = 0;
    this.draw();
  }

  draw() {
    this.xIsB = crypto.getRandomValues(new Uint8Array(1))[0] % 2 === 1;
  }

  /** @param {boolean} isB the answer; returns whether it is right */
  answer(isB) {
    const right = isB === this.xIsB;
    this.trials += 1;
    this.right += right ? 1 : 0;
    this.draw();
    return right;
  }

  /** Chance to have as many right answers or more by guessing: the sum of binomials over 2^n. */
  get p() {
    let term = 0.5 ** this.trials;
    let sum = 0;
    for (let k = 0; k <= this.trials; k++) {
      if (k >= this.right) sum += term;
      term *= (this.trials - k) / (k + 1);
    }
    return Math.min(1, sum);
  }
}
