"use strict";

/**
 * Plays versions of one recording in sync; one of them is heard.
 *
 * All versions start together and only their gains change, so that switching keeps the position and makes no gap.
 * It draws nothing: `onchange` is called after every change of state.
 */
class TakePlayer {
  /**
   * @param {{rate: number, channels: number, samples: number, exact: boolean}} format of all versions
   * @param {() => void} onchange called when the player starts, stops, seeks or switches
   */
  constructor(format, onchange = () => {}) {
    this.format = format;
    this.onchange = onchange;
    this.buffers = [];
    this.levels = []; // linear gains that match the levels, 1 or less
    this.matched = true;
    this.selected = 0;
    this.loop = null; // [start, end) in seconds
    this.playing = false;
    this.at = 0; // position where it stands, or where it was started
    this.nodes = [];
  }

  get duration() {
    return this.format.samples / this.format.rate;
  }

  /**
   * Decode versions. The first is whole; of the others, only the segments are given that differ from it.
   *
   * @param {{gain_db: number, segments: {start: number, data: string | ArrayBuffer}[]}[]} tracks with sound files, as
   *   they are or in base64
   */
  async load(tracks) {
    const decoded = await Promise.all(tracks.map((track) => this.decode(track)));
    decoded.forEach((parts, i) => this.put(tracks[i], parts));
    this.onchange();
  }

  /** Add a version while others may be playing. */
  async add(track) {
    this.put(track, await this.decode(track));
    this.onchange();
  }

  decode(track) {
    const decoder = new OfflineAudioContext(this.format.channels, 1, this.format.rate);
    const bytes = (data) => (typeof data === "string" ? bytesOf(data).buffer : data);
    return Promise.all(track.segments.map(({ data }) => decoder.decodeAudioData(bytes(data))));
  }

  put(track, parts) {
    const [base] = this.buffers;
    const buffer = base && !parts.length ? base : this.emptyBuffer();
    if (base && parts.length) paste(buffer, base, 0, 0);
    const fade = this.format.exact ? 0 : Math.round(0.005 * this.format.rate); // coding noise differs between files
    track.segments.forEach(({ start }, i) => paste(buffer, parts[i], start, fade));
    this.buffers.push(buffer);
    this.levels.push(10 ** (track.gain_db / 20));
    if (!this.playing || !this.nodes.length) return;
    const now = this.context.currentTime + 0.02;
    this.nodes.push(this.node(this.buffers.length - 1, now, this.positionAt(now)));
  }

  /** @param {number[]} gains_db that match the levels, 0 or less */
  setLevels(gains_db) {
    this.levels = gains_db.map((gain_db) => 10 ** (gain_db / 20));
    this.applyGains();
  }

  emptyBuffer() {
    const { rate, channels, samples } = this.format;
    return new AudioBuffer({ numberOfChannels: channels, length: samples, sampleRate: rate });
  }

  /** Gains of all versions as they are now: one is above 0. */
  get gains() {
    return this.levels.map((level, i) => (i === this.selected ? (this.matched ? level : 1) : 0));
  }

  /** Position in seconds. */
  get position() {
    if (!this.playing || !this.nodes.length) return this.at; // the browser may take a moment to start
    return this.positionAt(this.context.currentTime);
  }

  positionAt(time) {
    const t = this.at + Math.max(0, time - this.since);
    const [start, end] = this.loop ?? [0, Infinity];
    return t < end ? Math.min(t, this.duration) : start + ((t - start) % (end - start));
  }

  async play() {
    if (this.playing || !this.buffers.length) return;
    this.playing = true;
    this.context ??= newContext(this.format.rate);
    await this.context.resume();
    if (this.playing) this.start();
    this.onchange();
  }

  pause() {
    if (!this.playing) return;
    this.at = this.position;
    this.playing = false;
    this.stop();
    this.onchange();
  }

  toggle() {
    return this.playing ? this.pause() : this.play();
  }

  /** @param {number} seconds a position; it is moved into the loop, if there is one */
  seek(seconds) {
    const [start, end] = this.loop ?? [0, this.duration];
    this.at = seconds >= start && seconds < end ? seconds : start;
    if (this.playing && this.context.state === "running") {
      this.stop();
      this.start();
    }
    this.onchange();
  }

  /** @param {[number, number] | null} range in seconds */
  setLoop(range) {
    const position = this.position;
    this.loop = range;
    this.seek(position);
  }

  /** @param {number} index of the version to hear */
  select(index) {
    if (!(index in this.levels)) return;
    this.selected = index;
    this.applyGains();
    this.onchange();
  }

  /** @param {boolean} matched make all versions as loud as the quietest one */
  setMatched(matched) {
    this.matched = matched;
    this.applyGains();
    this.onchange();
  }

  start() {
    const now = this.context.currentTime + 0.02; // all versions start at the same sample
    if (this.at >= this.duration) this.at = this.loop ? this.loop[0] : 0;
    this.nodes = this.buffers.map((_, i) => this.node(i, now, this.at));
    this.nodes[0].source.onended = () => {
      this.playing = false;
      this.at = 0;
      this.onchange();
    };
    this.since = now;
  }

  /** Start a version at a position and a time of the context. */
  node(i, time, position) {
    const source = new AudioBufferSourceNode(this.context, { buffer: this.buffers[i], loop: this.loop !== null });
    if (this.loop) [source.loopStart, source.loopEnd] = this.loop;
    const gain = new GainNode(this.context, { gain: this.gains[i] });
    source.connect(gain).connect(this.context.destination);
    source.start(time, position);
    return { source, gain };
  }

  stop() {
    for (const { source } of this.nodes) {
      source.onended = null;
      source.stop();
      source.disconnect();
    }
    this.nodes = [];
  }

  applyGains() {
    this.nodes.forEach(({ gain }, i) => gain.gain.setTargetAtTime(this.gains[i], this.context.currentTime, 0.004));
  }
}

function newContext(sampleRate) {
  try {
    return new AudioContext({ sampleRate, latencyHint: "interactive" });
  } catch {
    return new AudioContext(); // the rate is out of range: the browser resamples while it plays
  }
}

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Write one buffer over another from a sample on; at edges inside, fade over some samples. */
function paste(target, source, start, fade) {
  const n = Math.min(source.length, target.length - start);
  for (let c = 0; c < target.numberOfChannels; c++) {
    const to = target.getChannelData(c).subarray(start, start + n);
    const from = source.getChannelData(Math.min(c, source.numberOfChannels - 1));
    const [first, last] = [start > 0 ? fade : 0, start + n < target.length ? fade : 0];
    const edge = (i) => Math.min(1, first ? i / first : 1, last ? (n - 1 - i) / last : 1);
    const [head, tail] = [to.slice(0, first), to.slice(n - last)];
    to.set(from.subarray(0, n));
    head.forEach((old, i) => (to[i] = old + (to[i] - old) * edge(i)));
    tail.forEach((old, i) => (to[n - last + i] = old + (to[n - last + i] - old) * edge(n - last + i)));
  }
}

/**
 * Play by the space bar, choose versions by 0 to 9, and act by the keys in `more`.
 *
 * @param {TakePlayer} player
 * @param {(index: number) => void} choose a version
 * @param {Object<string, () => void>} more actions by key
 */
function bindKeys(player, choose, more = {}) {
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox]):not([type=range]), textarea, select");
    if (event.ctrlKey || event.altKey || event.metaKey || typing) return;
    const control = event.target.closest("button, summary, input[type=checkbox], a");
    if (event.key === " " && !control) player.toggle();
    else if (/^[0-9]$/.test(event.key)) choose(Number(event.key));
    else if (event.key.toLowerCase() in more) more[event.key.toLowerCase()]();
    else return;
    event.preventDefault();
  });
  // A control that was clicked gives the space bar back; one that was reached by keys keeps it.
  document.addEventListener("click", (event) => {
    if (event.detail > 0) event.target.closest("button, summary, input[type=checkbox]")?.blur();
  });
}

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
