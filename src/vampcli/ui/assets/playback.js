"use strict";

/** Versions of the recording that share a time line, in a player, and which of them is heard. */
class Playback {
  /**
   * @param {{show: () => void, choose: () => void, fail: (error: Error) => void}} on called after a change of the player,
   *   after another version is heard, and after an error
   */
  constructor(on) {
    this.on = on;
    this.reset({ sound: null, takes: [] });
  }

  reset(state) {
    this.player?.pause();
    this.state = state;
    this.group = "recording"; // takes with the time line of the player
    this.tracks = []; // ids of the versions in the player; the first is the original
    this.chosen = 0; // number of the take that is heard, 0 = the original
    this.player = null;
    this.loading = Promise.resolve();
  }

  /** @param {object} state that the server has sent */
  update(state) {
    this.state = state;
    if (!this.player) return;
    if (this.members().some((one) => !this.tracks.includes(one.id))) this.addTakes();
    else this.player.setLevels(this.levels());
  }

  take(i) {
    return this.state.takes[i - 1];
  }

  members(name = this.group) {
    return this.state.takes.filter((one) => one.group === name);
  }

  get rate() {
    return this.state.sound.rate;
  }

  get samples() {
    return this.group === "recording" ? this.state.sound.n_samples : this.members()[0].n_samples;
  }

  get position() {
    return this.player?.position ?? 0;
  }

  /** Levels of versions: as loud as the quietest, but at most 12 dB lower. */
  levels() {
    const lufs = this.tracks.map((id, i) => (i ? this.members().find((one) => one.id === id)?.facts.lufs : this.state.sound.lufs) ?? null);
    const known = lufs.filter((one) => one !== null);
    const target = Math.max(Math.min(...known), Math.max(...known) - 12);
    return lufs.map((one) => (one === null ? 0 : Math.min(0, target - one)));
  }

  /** Begin to play a group, from a time on. */
  async open(name, at) {
    const wasPlaying = this.player?.playing;
    const old = this.player;
    old?.pause();
    this.group = name;
    this.tracks = [];
    const { rate, channels } = this.state.sound;
    const chunks = new Chunks({ rate, channels, samples: this.samples }, undefined, this.on.fail);
    const player = new TakePlayer(chunks, () => this.on.show());
    if (old?.context) player.context = old.context;
    this.put(chunks, name === "recording" ? "recording" : `base-${this.members()[0].id}`, [[0, this.samples]]);
    for (const one of this.members()) this.put(chunks, one.id, this.ranges(one));
    player.setLevels(this.levels());
    player.at = Math.min(Math.max(0, at), player.duration);
    this.player = player;
    this.ready();
    await player.prepare();
    if (wasPlaying) await player.play();
    this.on.show();
  }

  put(chunks, id, ranges) {
    const read = async (start, end) => {
      const data = await (await ask(`audio/${id}?start=${start}&end=${end}`)).arrayBuffer();
      return { buffer: await decodeSound(data, chunks.format), offset: 0 };
    };
    chunks.add(ranges, read);
    this.tracks.push(id);
  }

  /** What differs from the original at most: generated spans and a second around them. */
  ranges(take) {
    if (this.group !== "recording") return [[0, take.n_samples]];
    const found = [];
    for (const [a, b] of take.spans) {
      const [start, end] = [Math.max(0, a - this.rate), Math.min(take.n_samples, b + this.rate)];
      if (found.length && start <= found.at(-1)[1]) found.at(-1)[1] = Math.max(end, found.at(-1)[1]);
      else found.push([start, end]);
    }
    return found;
  }

  /** Add takes that have come since; they play from now on. */
  addTakes() {
    for (const one of this.members()) if (!this.tracks.includes(one.id)) this.put(this.player.chunks, one.id, this.ranges(one));
    this.player.setLevels(this.levels());
    this.ready();
  }

  ready() {
    document.documentElement.dataset.ready = `${this.group} ${this.tracks.length}`;
  }

  /** One action after another, so that the last one asked for is what is heard. */
  later(action) {
    return (this.loading = this.loading.then(action).catch(this.on.fail));
  }

  /** @param {number} i of the take, 0 = the original */
  choose(i) {
    if (i && !this.take(i)) return;
    this.chosen = i;
    this.later(async () => {
      const wanted = i ? this.take(i) : { group: this.group, id: this.tracks[0] };
      if (wanted.group !== this.group || !this.player) await this.open(wanted.group, this.position);
      this.player.select(Math.max(0, this.tracks.indexOf(wanted.id)));
      this.on.choose();
    });
  }

  seek(t) {
    this.later(() => this.player?.seek(t));
  }

  /** Repeat a span and a second on either side; null = all. */
  setLoop(span) {
    const { duration } = this.player;
    const range = span && [Math.max(0, span.start - 1), Math.min(duration, span.end + 1)];
    this.player.setLoop(range && range[0] < range[1] ? range : null);
  }
}
