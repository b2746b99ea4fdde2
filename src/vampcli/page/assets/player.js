"use strict";

/**
 * Plays versions of one recording in sync; one of them is heard.
 *
 * All versions are started together and only their gains change, so that switching keeps the position and makes no gap.
 * Their chunks are started some seconds ahead, each at the sample at which the one before it ends.
 * It draws nothing: `onchange` is called after every change of state.
 */
class TakePlayer {
  /**
   * @param {Chunks} chunks of the versions
   * @param {() => void} onchange called when the player starts, stops, seeks or switches
   */
  constructor(chunks, onchange = () => {}) {
    this.chunks = chunks;
    chunks.onload = () => this.pump();
    this.onchange = onchange;
    this.levels = []; // linear gains that match the levels, 1 or less
    this.matched = true;
    this.selected = 0;
    this.wanted = 0; // version that is heard as soon as it is decoded
    this.loop = null; // [start, end) in seconds
    this.playing = false;
    this.at = 0; // position where it stands, or where it was started
    this.outputs = []; // gain nodes of the versions
    this.slots = []; // {time, from, to, k, nodes}: parts that are started, samples of all versions
  }

  get rate() {
    return this.chunks.format.rate;
  }

  get duration() {
    return this.chunks.format.samples / this.rate;
  }

  /** @param {number[]} gains_db that match the levels of all versions, 0 or less */
  setLevels(gains_db) {
    this.levels = gains_db.map((gain_db) => 10 ** (gain_db / 20));
    this.applyGains();
    this.pump();
  }

  /** Gains of all versions as they are now: one is above 0. */
  get gains() {
    return this.levels.map((level, i) => (i === this.selected ? (this.matched ? level : 1) : 0));
  }

  /** Position in seconds. */
  get position() {
    if (!this.playing || !this.slots.length) return this.at; // the browser may take a moment to start
    const now = this.context.currentTime;
    const { time, from, to } = this.slots.findLast((slot) => slot.time <= now) ?? this.slots[0];
    return Math.min(from / this.rate + Math.max(0, now - time), to / this.rate);
  }

  /** Versions that are played, though one alone is heard: all but those that take too much memory. */
  get ready() {
    return [...this.levels.keys()].filter((i) => i === this.selected || !this.chunks.versions[i].isLarge);
  }

  /** Number of the chunk at the position. */
  get chunk() {
    return Math.min(Math.floor((this.position * this.rate) / this.chunks.length), this.chunks.count - 1);
  }

  /** Decode the versions at the position. */
  async prepare() {
    await Promise.all(this.ready.map((i) => this.chunks.load(i, this.chunk)));
  }

  async play() {
    if (this.playing || !this.levels.length) return;
    this.playing = true;
    this.context ??= newContext(this.rate);
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

  /** @param {number} index of the version to hear; a long one may have to be decoded first */
  select(index) {
    if (!(index in this.levels)) return;
    this.wanted = index;
    const hear = () => {
      if (this.wanted !== index) return;
      this.selected = index;
      this.applyGains();
      this.pump();
      this.onchange();
    };
    if (this.chunks.get(index, this.chunk)) hear();
    else this.chunks.load(index, this.chunk).then(hear, () => {});
  }

  /** @param {boolean} matched make all versions as loud as the quietest one */
  setMatched(matched) {
    this.matched = matched;
    this.applyGains();
    this.onchange();
  }

  // Scheduling

  start() {
    if (this.at >= this.duration) this.at = this.loop ? this.loop[0] : 0;
    const sample = Math.min(Math.round(this.at * this.rate), this.chunks.format.samples - 1);
    this.next = { time: this.soon(), sample };
    this.pump();
  }

  /** Return the earliest time at which a node can start, on a sample of the context. */
  soon() {
    return Math.ceil((this.context.currentTime + 0.02) * this.rate) / this.rate;
  }

  /** Start what is due in the next seconds; again and again while it plays, and whenever a chunk is decoded. */
  pump() {
    if (!this.playing || !this.next) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.pump(), 200);
    const now = this.context.currentTime;
    while (this.slots.length > 1 && this.slots[1].time <= now) this.slots.shift();
    while (this.next.sample < this.chunks.format.samples && this.next.time < now + TakePlayer.AHEAD_S) if (!this.schedule()) break;
    for (const slot of this.slots) for (const i of this.ready) slot.nodes[i] ??= this.node(i, slot);
    if (this.next.sample >= this.chunks.format.samples && now >= this.next.time) this.finish();
  }

  /** Put the next part behind the last one, up to the end of its chunk or of the loop; false if it is not decoded. */
  schedule() {
    const { sample: from } = this.next;
    const k = Math.floor(from / this.chunks.length);
    if (!this.chunks.get(this.selected, k)) return false;
    const [start, end] = (this.loop ?? [0, Infinity]).map((t) => Math.round(t * this.rate));
    const to = Math.min(this.chunks.bounds(k)[1], end);
    const time = this.next.time < this.context.currentTime ? this.soon() : this.next.time; // late: it is decoded just now
    this.slots.push({ time, from, to, k, nodes: [] });
    this.next = { time: time + (to - from) / this.rate, sample: to === end ? start : to };
    return true;
  }

  /** Start a version in a slot, if it is decoded; in one that has begun, as soon as it can be. */
  node(i, { time, from, to, k }) {
    const chunk = this.chunks.get(i, k);
    const late = Math.ceil(Math.max(0, this.context.currentTime + 0.01 - time) * this.rate);
    if (!chunk || late >= to - from) return undefined;
    const source = new AudioBufferSourceNode(this.context, { buffer: chunk.buffer });
    source.connect(this.output(i));
    const first = chunk.offset + from + late - this.chunks.bounds(k)[0];
    const n = to - from - late - 0.25; // browsers round the end up, perhaps to a sample too many
    source.start(time + late / this.rate, first / this.rate, n / this.rate);
    return source;
  }

  output(i) {
    if (!this.outputs[i]) {
      this.outputs[i] = new GainNode(this.context, { gain: this.gains[i] });
      this.outputs[i].connect(this.context.destination);
    }
    return this.outputs[i];
  }

  finish() {
    this.stop();
    this.playing = false;
    this.at = 0;
    this.onchange();
  }

  stop() {
    clearTimeout(this.timer);
    for (const source of this.slots.flatMap(({ nodes }) => nodes).filter(Boolean)) {
      source.stop();
      source.disconnect();
    }
    [this.slots, this.next] = [[], null];
  }

  applyGains() {
    this.outputs.forEach(({ gain }, i) => gain.setTargetAtTime(this.gains[i], this.context.currentTime, 0.004));
  }
}
TakePlayer.AHEAD_S = 3;

function newContext(sampleRate) {
  try {
    return new AudioContext({ sampleRate, latencyHint: "interactive" });
  } catch {
    return new AudioContext(); // the rate is out of range: the browser resamples while it plays
  }
}
