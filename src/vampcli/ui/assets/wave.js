"use strict";

/** A waveform that scrolls and zooms, with spans to drag, resize and type. Times are in seconds. */
class Wave {
  /**
   * @param {(id: string, start: number, end: number, columns: number) => Promise<Int8Array>} peaks least, then greatest
   *   samples of pieces of a range of samples
   * @param {{seek: (t: number) => void, change: () => void, snap: (t: number) => number}} on calls
   */
  constructor(peaks, on) {
    [this.view, this.lane, this.canvas, this.cursor] = ["view", "lane", "wave", "cursor"].map((id) => document.getElementById(id));
    this.peaks = peaks;
    this.on = on;
    this.spans = []; // {start, end, element}
    this.marks = []; // {start, end, name}: drawn, not changed
    this.tiles = new Map();
    this.sound = null;
    this.view.addEventListener("scroll", () => this.draw());
    this.view.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.lane.addEventListener("pointerdown", (event) => this.press(event));
    new ResizeObserver(() => this.sound && this.resize()).observe(this.view);
  }

  /** @param {{id: string, rate: number, samples: number}} sound that is drawn */
  show(sound) {
    const same = this.sound && this.sound.samples === sound.samples;
    this.sound = sound;
    if (!same) this.showAll();
    this.draw();
  }

  get duration() {
    return this.sound.samples / this.sound.rate;
  }

  resize() {
    if (this.zoom <= this.least) this.showAll();
    else this.layout();
  }

  get least() {
    return this.view.clientWidth / this.duration; // pixels a second
  }

  showAll() {
    this.setZoom(this.least, 0);
  }

  /** Zoom, and keep a time at its place. */
  setZoom(zoom, at = this.middle) {
    const x = this.zoom ? at * this.zoom - this.view.scrollLeft : 0;
    this.zoom = Math.min(Math.max(zoom, this.least), Math.max(this.least, Math.min(this.sound.rate / 4, 4e6 / this.duration)));
    this.layout();
    this.view.scrollLeft = at * this.zoom - x;
    this.draw();
  }

  get middle() {
    return (this.view.scrollLeft + this.view.clientWidth / 2) / this.zoom;
  }

  wheel(event) {
    if (!this.sound || !(event.ctrlKey || event.altKey)) return;
    event.preventDefault();
    this.setZoom(this.zoom * Math.exp(-event.deltaY / 300), this.time(event));
  }

  time(event) {
    const t = (event.clientX - this.lane.getBoundingClientRect().left) / this.zoom;
    return Math.min(Math.max(t, 0), this.duration);
  }

  layout() {
    this.lane.style.width = `${Math.floor(this.duration * this.zoom)}px`;
    const [width, height] = [this.view.clientWidth, this.lane.clientHeight];
    const scale = devicePixelRatio;
    this.canvas.style.width = `${width}px`;
    [this.canvas.width, this.canvas.height] = [width * scale, height * scale];
    this.spans.forEach((span) => this.placeSpan(span));
    this.draw();
  }

  moveCursor(t) {
    this.cursor.style.transform = `translateX(${t * this.zoom}px)`;
  }

  // Drawing

  draw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      if (this.sound) this.paint();
    });
  }

  paint() {
    const context = this.canvas.getContext("2d");
    const scale = devicePixelRatio;
    const [width, height, left] = [this.canvas.width / scale, this.canvas.height / scale, this.view.scrollLeft];
    const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    context.fillStyle = color("--wave");
    for (let tile = Math.floor(left / Wave.TILE); tile * Wave.TILE < left + width; tile++) this.paintTile(context, tile, left, height);
    this.paintRuler(context, left, width, color("--soft"));
    context.strokeStyle = context.fillStyle = color("--made");
    for (const { start, end, name } of this.marks) {
      const x = start * this.zoom - left;
      context.strokeRect(x, 18.5, (end - start) * this.zoom, height - 19);
      context.fillText(name, x + 3, height - 6);
    }
  }

  /** Paint a tile; until its peaks are here, those of the whole sound. */
  paintTile(context, tile, left, height) {
    const { id, rate, samples } = this.sound;
    const perPixel = rate / this.zoom;
    const start = Math.floor(tile * Wave.TILE * perPixel);
    const end = Math.min(samples, Math.floor((tile + 1) * Wave.TILE * perPixel));
    if (end <= start) return;
    const found = this.fetched(`${id} ${this.zoom} ${tile}`, id, start, end, Math.ceil((end - start) / perPixel));
    const coarse = found ?? this.fetched(`${id} all`, id, 0, samples, 4096);
    if (!coarse) return;
    const n = coarse.length / 2;
    const [first, each] = found ? [start, (end - start) / n] : [0, samples / n];
    const from = found ? 0 : Math.floor(start / each);
    const to = found ? n : Math.min(n, Math.ceil(end / each));
    const middle = 18 + (height - 18) / 2;
    const unit = (height - 20) / 2 / 127;
    const wide = Math.max(1, each / perPixel);
    context.beginPath();
    for (let i = from; i < to; i++) {
      const x = (first + i * each) / perPixel - left;
      context.rect(x, middle - coarse[n + i] * unit, wide, Math.max(1, (coarse[n + i] - coarse[i]) * unit));
    }
    context.fill();
  }

  fetched(key, id, start, end, columns) {
    const found = this.tiles.get(key);
    if (found || found === null) return found ?? undefined;
    this.tiles.set(key, null);
    if (this.tiles.size > 600) this.tiles.delete(this.tiles.keys().next().value);
    this.peaks(id, start, end, Math.min(columns, end - start)).then(
      (peaks) => {
        this.tiles.set(key, peaks);
        this.draw();
      },
      () => this.tiles.delete(key),
    );
  }

  paintRuler(context, left, width, color) {
    const step = [0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300].find((s) => s * this.zoom >= 70) ?? 600;
    context.fillStyle = color;
    context.font = "12px system-ui";
    for (let i = Math.ceil(left / this.zoom / step); i * step * this.zoom < left + width; i++) {
      const t = i * step;
      context.fillRect(t * this.zoom - left, 0, 1, 16);
      context.fillText(`${Math.floor(t / 60)}:${(t % 60).toFixed(step < 1 ? 2 : 0).padStart(step < 1 ? 5 : 2, "0")}`, t * this.zoom - left + 3, 11);
    }
  }

  // Spans

  /** Drag over the waveform to add a span; a click seeks. */
  press(event) {
    if (!this.sound || event.button || event.target.closest(".region")) return;
    const from = this.time(event);
    let span = null;
    this.follow(event, this.lane, (moved) => {
      const to = this.time(moved);
      if (!span && Math.abs(moved.clientX - event.clientX) < 4) return;
      span ??= this.addSpan(from, from);
      this.setSpan(span, ...[this.on.snap(from), this.on.snap(to)].sort((a, b) => a - b));
    }).then(() => {
      if (!span) this.on.seek(from);
      else if (span.end - span.start < 0.001) this.removeSpan(span);
      this.on.change();
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

  addSpan(start, end) {
    const element = document.createElement("div");
    element.className = "region";
    const span = { start, end, element };
    for (const side of ["start", "end"]) {
      const edge = document.createElement("div");
      edge.className = "edge";
      edge.tabIndex = 0;
      edge.role = "slider";
      edge.addEventListener("pointerdown", (event) => this.dragEdge(event, edge, span, side));
      edge.addEventListener("keydown", (event) => this.key(event, span, side));
      element.append(edge);
    }
    element.addEventListener("pointerdown", (event) => this.dragSpan(event, span));
    this.lane.append(element);
    this.spans.push(span);
    this.placeSpan(span);
    return span;
  }

  removeSpan(span) {
    span.element.remove();
    this.spans.splice(this.spans.indexOf(span), 1);
    this.on.change();
  }

  /** Change a span; its times are whole milliseconds within the sound. */
  setSpan(span, start, end) {
    const inside = (t) => Math.round(Math.min(Math.max(t, 0), this.duration) * 1000) / 1000;
    [span.start, span.end] = [inside(start), inside(end)];
    this.placeSpan(span);
    this.on.change();
  }

  placeSpan(span) {
    span.element.style.left = `${span.start * this.zoom}px`;
    span.element.style.width = `${(span.end - span.start) * this.zoom}px`;
    const name = `span ${this.spans.indexOf(span) + 1}`;
    [...span.element.children].forEach((edge, i) => {
      edge.ariaLabel = `${i ? "End" : "Start"} of ${name}`;
      [edge.ariaValueMin, edge.ariaValueMax, edge.ariaValueNow] = ["0", this.duration.toFixed(3), (i ? span.end : span.start).toFixed(3)];
      edge.ariaValueText = `${edge.ariaValueNow} seconds`;
    });
  }

  dragEdge(event, edge, span, side) {
    event.stopPropagation();
    edge.focus();
    this.follow(event, edge, (moved) => this.moveEdge(span, side, this.on.snap(this.time(moved))));
  }

  moveEdge(span, side, t) {
    if (side === "start") this.setSpan(span, Math.min(t, span.end - 0.001), span.end);
    else this.setSpan(span, span.start, Math.max(t, span.start + 0.001));
  }

  dragSpan(event, span) {
    if (event.button || event.target !== span.element) return;
    const [from, start, length] = [this.time(event), span.start, span.end - span.start];
    let moved = false;
    this.follow(event, span.element, (move) => {
      moved ||= Math.abs(move.clientX - event.clientX) >= 4;
      if (!moved) return;
      const to = Math.min(Math.max(this.on.snap(start + this.time(move) - from), 0), this.duration - length);
      this.setSpan(span, to, to + length);
    }).then(() => moved || this.on.seek(from));
  }

  key(event, span, side) {
    const step = { ArrowLeft: -0.01, ArrowRight: 0.01 }[event.key];
    if (step) this.moveEdge(span, side, span[side] + step * (event.shiftKey ? 10 : 1));
    else if (event.key === "Delete" || event.key === "Backspace") this.removeSpan(span);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
Wave.TILE = 1024; // pixels
