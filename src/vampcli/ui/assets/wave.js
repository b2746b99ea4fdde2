"use strict";

/** A waveform and a spectrogram that scroll and zoom; both are fetched in tiles. Times are in seconds. */
class Wave {
  /**
   * @param {(id: string, start: number, end: number, columns: number) => Promise<Int8Array>} peaks least, then greatest
   *   samples of pieces of a range of samples
   * @param {(id: string, start: number, end: number, columns: number) => Promise<ImageBitmap>} picture spectrogram of
   *   a range
   */
  constructor(peaks, picture) {
    [this.view, this.lane, this.canvas, this.cursor] = ["view", "lane", "wave", "cursor"].map((id) => document.getElementById(id));
    this.read = { peaks, picture };
    this.onlayout = () => {};
    this.marks = []; // {start, end, name}: drawn, not changed
    this.tiles = new Map();
    this.sound = null;
    this.view.addEventListener("scroll", () => this.draw());
    this.view.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
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
    this.zoomed_ms = performance.now();
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
    this.onlayout();
    this.draw();
  }

  /** @param {boolean} follow turn the page when the cursor leaves it */
  moveCursor(t, follow) {
    const x = t * this.zoom;
    this.cursor.style.transform = `translateX(${x}px)`;
    const left = x - this.view.scrollLeft;
    if (follow && (left < 0 || left > this.view.clientWidth)) this.view.scrollLeft = x - this.view.clientWidth / 20;
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
    const middle = Math.round(Wave.RULER + (height - Wave.RULER) * 0.55);
    for (let tile = Math.floor(left / Wave.TILE); tile * Wave.TILE < left + width; tile++) {
      const range = this.range(tile);
      if (!range) continue;
      this.paintPeaks(context, range, left, Wave.RULER, middle - 1);
      this.paintPicture(context, range, left, middle, height);
    }
    this.paintRuler(context, left, width, color("--soft"));
    context.strokeStyle = context.fillStyle = color("--made");
    for (const { start, end, name } of this.marks) {
      const x = start * this.zoom - left;
      context.strokeRect(x, Wave.RULER + 0.5, (end - start) * this.zoom, height - Wave.RULER - 1);
      context.fillText(name, x + 3, middle - 6);
    }
  }

  /** Samples of a tile, and its name; null behind the end. */
  range(tile) {
    const { rate, samples } = this.sound;
    const each = rate / this.zoom; // samples a pixel
    const start = Math.floor(tile * Wave.TILE * each);
    const end = Math.min(samples, Math.floor((tile + 1) * Wave.TILE * each));
    return end > start ? { start, end, each, key: `${this.zoom} ${tile}` } : null;
  }

  /** Paint the peaks of a tile; until they are here, those of the whole sound. */
  paintPeaks(context, { start, end, each, key }, left, top, bottom) {
    const { samples } = this.sound;
    const found = this.fetched("peaks", key, start, end, Math.ceil((end - start) / each));
    const coarse = found ?? this.whole("peaks", 4096);
    if (!coarse) return;
    const n = coarse.length / 2;
    const [first, step] = found ? [start, (end - start) / n] : [0, samples / n];
    const from = found ? 0 : Math.floor(start / step);
    const to = found ? n : Math.min(n, Math.ceil(end / step));
    const unit = (bottom - top - 2) / 2 / 127;
    const wide = Math.max(1, step / each);
    context.beginPath();
    for (let i = from; i < to; i++) {
      const x = (first + i * step) / each - left;
      context.rect(x, (top + bottom) / 2 - coarse[n + i] * unit, wide, Math.max(1, (coarse[n + i] - coarse[i]) * unit));
    }
    context.fill();
  }

  /** Paint the spectrogram of a tile; until it is here, that of the whole sound. */
  paintPicture(context, { start, end, each, key }, left, top, bottom) {
    const columns = Math.ceil(Math.min((end - start) / each / 2, ((end - start) / this.sound.rate) * 80));
    const found = this.fetched("picture", key, start, end, Math.max(1, columns));
    const image = found ?? this.whole("picture", 600);
    if (!image) return;
    const scale = image.width / this.sound.samples;
    const [from, width] = found ? [0, image.width] : [start * scale, (end - start) * scale];
    context.drawImage(image, from, 0, width, image.height, start / each - left, top, (end - start) / each, bottom - top);
  }

  /** A picture of the whole sound, or of the recording, if that is as long. */
  whole(kind, columns) {
    const { samples } = this.sound;
    return this.fetched(kind, "all", 0, samples, columns) ?? this.tiles.get(`${kind} recording all ${samples}`)?.content;
  }

  /** Return what the server has drawn of a range; else ask for it, unless the zoom is just changing. */
  fetched(kind, name, start, end, columns) {
    const { id, samples } = this.sound;
    const key = `${kind} ${id} ${name}${name === "all" ? ` ${samples}` : ""}`;
    const found = this.tiles.get(key);
    if (found) return found.content;
    const rest_ms = name === "all" ? 0 : this.zoomed_ms + Wave.REST_MS - performance.now();
    if (rest_ms > 0) {
      clearTimeout(this.later);
      this.later = setTimeout(() => this.draw(), rest_ms + 1);
      return undefined;
    }
    const tile = { content: undefined };
    this.tiles.set(key, tile);
    if (this.tiles.size > 600) this.tiles.delete([...this.tiles.keys()].find((one) => !one.includes(" all ")));
    this.read[kind](id, start, end, Math.min(columns, end - start)).then(
      (content) => {
        tile.content = content;
        this.draw();
      },
      () => setTimeout(() => this.tiles.delete(key), 2000), // then it is asked for again
    );
    return undefined;
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
}
Wave.TILE = 1024; // pixels
Wave.RULER = 18;
Wave.REST_MS = 150; // without zooming, before tiles are fetched
