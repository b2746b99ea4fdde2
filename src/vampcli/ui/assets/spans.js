"use strict";

/** Spans over a waveform: dragged, resized, moved by keys, typed, and taken back. Times are in seconds. */
class Spans {
  /**
   * @param {Wave} wave on which they lie
   * @param {{seek: (t: number) => void, change: () => void, snap: (t: number) => number,
   *   parse: (text: string, side: string, span: object) => Promise<{start: number, end: number}>}} on calls
   */
  constructor(wave, on) {
    this.wave = wave;
    this.on = on;
    this.list = []; // {id, start, end, element}
    this.undone = []; // states that can be brought back, the latest last
    this.done = [[]]; // states, the present one last
    this.problem = find("span-problem");
    wave.onlayout = () => this.list.forEach((span) => this.place(span));
    wave.lane.addEventListener("pointerdown", (event) => this.press(event));
  }

  get times() {
    return this.list.map(({ start, end }) => [start, end]);
  }

  /** Replace all spans by those of times, without a step of undo. */
  restore(times) {
    while (this.list.length) this.list.pop().element.remove();
    for (const [start, end] of times) this.set(this.add(start, end), start, end);
    this.on.change();
  }

  /** Begin anew with a recording. */
  reset(times) {
    this.restore(times);
    [this.done, this.undone] = [[this.times], []];
  }

  /** Note that a change is complete: it is a step of undo. */
  commit() {
    const now = this.times;
    if (JSON.stringify(now) === JSON.stringify(this.done.at(-1))) return;
    this.done.push(now);
    this.undone = [];
  }

  undo() {
    if (this.done.length < 2) return false;
    this.undone.push(this.done.pop());
    this.restore(this.done.at(-1));
    return true;
  }

  redo() {
    if (!this.undone.length) return false;
    this.done.push(this.undone.pop());
    this.restore(this.done.at(-1));
    return true;
  }

  add(start, end) {
    const element = make("div", { className: "region" });
    const span = { id: `span${(Spans.count = (Spans.count ?? 0) + 1)}`, start, end, element };
    for (const side of ["start", "end"]) {
      const edge = make("div", { className: "edge", tabIndex: 0, role: "slider" });
      edge.addEventListener("pointerdown", (event) => this.dragEdge(event, edge, span, side));
      edge.addEventListener("keydown", (event) => this.key(event, span, side));
      element.append(edge);
    }
    element.addEventListener("pointerdown", (event) => this.dragSpan(event, span));
    this.wave.lane.append(element);
    this.list.push(span);
    this.place(span);
    return span;
  }

  remove(span) {
    span.element.remove();
    this.list.splice(this.list.indexOf(span), 1);
    this.commit();
    this.on.change();
  }

  /** Change a span; its times are whole milliseconds within the sound. */
  set(span, start, end) {
    const inside = (t) => Math.round(Math.min(Math.max(t, 0), this.wave.duration) * 1000) / 1000;
    [span.start, span.end] = [inside(start), inside(end)];
    this.place(span);
    this.on.change();
  }

  place(span) {
    span.element.style.left = `${span.start * this.wave.zoom}px`;
    span.element.style.width = `${(span.end - span.start) * this.wave.zoom}px`;
    const name = `span ${this.list.indexOf(span) + 1}`;
    [...span.element.children].forEach((edge, i) => {
      edge.ariaLabel = `${i ? "End" : "Start"} of ${name}`;
      [edge.ariaValueMin, edge.ariaValueMax, edge.ariaValueNow] = ["0", this.wave.duration.toFixed(3), (i ? span.end : span.start).toFixed(3)];
      edge.ariaValueText = `${edge.ariaValueNow} seconds`;
    });
  }

  // Pointer and keys

  /** Drag over the waveform to add a span; a click seeks. */
  press(event) {
    if (!this.wave.sound || event.button || event.target.closest(".region")) return;
    const from = this.wave.time(event);
    let span = null;
    this.follow(event, this.wave.lane, (moved) => {
      if (!span && Math.abs(moved.clientX - event.clientX) < 4) return;
      span ??= this.add(from, from);
      this.set(span, ...[this.on.snap(from), this.on.snap(this.wave.time(moved))].sort((a, b) => a - b));
    }).then(() => {
      if (!span) this.on.seek(from);
      else if (span.end - span.start < 0.001) this.remove(span);
      else this.commit();
    });
  }

  /** Call with each move until the pointer is released. */
  follow(event, element, move) {
    event.preventDefault();
    element.setPointerCapture(event.pointerId);
    return new Promise((resolve) => {
      const end = () => {
        element.removeEventListener("pointermove", move);
        resolve();
      };
      element.addEventListener("pointermove", move);
      element.addEventListener("pointerup", end, { once: true });
      element.addEventListener("pointercancel", end, { once: true });
    });
  }

  dragEdge(event, edge, span, side) {
    event.stopPropagation();
    edge.focus();
    this.follow(event, edge, (moved) => this.moveEdge(span, side, this.on.snap(this.wave.time(moved)))).then(() => this.commit());
  }

  moveEdge(span, side, t) {
    if (side === "start") this.set(span, Math.min(t, span.end - 0.001), span.end);
    else this.set(span, span.start, Math.max(t, span.start + 0.001));
  }

  dragSpan(event, span) {
    if (event.button || event.target !== span.element) return;
    const [from, start, length] = [this.wave.time(event), span.start, span.end - span.start];
    let moved = false;
    this.follow(event, span.element, (move) => {
      moved ||= Math.abs(move.clientX - event.clientX) >= 4;
      if (!moved) return;
      const to = Math.min(Math.max(this.on.snap(start + this.wave.time(move) - from), 0), this.wave.duration - length);
      this.set(span, to, to + length);
    }).then(() => (moved ? this.commit() : this.on.seek(from)));
  }

  key(event, span, side) {
    if (event.ctrlKey || event.metaKey) return;
    const step = { ArrowLeft: -0.01, ArrowRight: 0.01 }[event.key];
    if (step) {
      this.moveEdge(span, side, span[side] + step * (event.shiftKey ? 10 : 1));
      this.commit();
    } else if (event.key === "Delete" || event.key === "Backspace") this.remove(span);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // Fields

  /** Show a row for each span. */
  show(list) {
    sync(list, this.list, (span) => this.row(span), (row, span, i) => {
      row.querySelector(".name").textContent = `Span ${i + 1}`;
      row.querySelector("button").ariaLabel = `Remove span ${i + 1}`;
      for (const input of row.querySelectorAll("input")) {
        input.ariaLabel = `${input.name === "start" ? "Start" : "End"} of span ${i + 1}`;
        if (document.activeElement !== input) input.value = span[input.name];
      }
    });
  }

  row(span) {
    const remove = make("button", { type: "button", textContent: "Remove", onclick: () => this.remove(span) });
    return make("li", {}, make("span", { className: "name" }), this.field(span, "start"), "to", this.field(span, "end"), remove);
  }

  /** A number takes effect as it is typed; other times, such as bar:5, at the end. */
  field(span, side) {
    const input = make("input", { type: "text", name: side, autocomplete: "off", spellcheck: false });
    input.setAttribute("aria-describedby", "span-help");
    input.addEventListener("input", () => {
      const t = Number(input.value);
      if (input.value.trim() === "" || !(t >= 0 && t <= this.wave.duration)) return;
      if (side === "start" && t < span.end) this.set(span, t, span.end);
      if (side === "end" && t > span.start) this.set(span, span.start, t);
    });
    const type = async () => {
      this.problem.textContent = "";
      if (Number(input.value) === span[side] && input.value.trim()) return this.commit(); // it has taken effect
      const before = { ...span };
      try {
        const { start, end } = await this.on.parse(input.value, side, span);
        const now = (one, typed) => (span[one] === before[one] || one === side ? typed : span[one]); // changed meanwhile
        this.set(span, now("start", start), now("end", end));
        input.value = span[side];
        this.commit();
      } catch (error) {
        this.problem.textContent = error.message;
      }
    };
    input.addEventListener("change", type);
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // it would make takes
      type();
    });
    return input;
  }
}
