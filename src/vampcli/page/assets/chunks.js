"use strict";

/**
 * Sound of versions of one recording, in chunks of equal length, which are decoded when they are needed.
 *
 * The first version is the recording; of the others, some ranges differ. A chunk without such a range is that of the
 * recording, so memory grows with what differs; chunks that were not used for long are dropped.
 */
class Chunks {
  /**
   * @param {{rate: number, channels: number, samples: number, fade?: number}} format of all versions; `fade` samples
   *   lead into and out of a range
   * @param {() => void} onload called after a chunk was decoded
   * @param {(error: Error) => void} onerror called if one cannot be decoded
   */
  constructor(format, onload = () => {}, onerror = () => {}) {
    this.format = format;
    this.onload = onload;
    this.onerror = onerror;
    this.length = Math.round(Chunks.SECONDS * format.rate);
    this.versions = [];
    this.held = new Map(); // by version and number, the latest used last: {promise, chunk, size}
  }

  /**
   * Add a version.
   *
   * @param {[number, number][]} ranges of samples that differ from the first version; of that, all
   * @param {(start: number, end: number) => Promise<{buffer: AudioBuffer, offset: number}>} read returns a sound that
   *   holds samples from start to end of a range, from its sample `offset` on
   * @param {boolean} isLarge read it only while it is heard
   */
  add(ranges, read, isLarge = false) {
    this.versions.push({ ranges, read, isLarge });
  }

  get count() {
    return Math.ceil(this.format.samples / this.length);
  }

  /** First and last sample of a chunk. */
  bounds(k) {
    return [k * this.length, Math.min((k + 1) * this.length, this.format.samples)];
  }

  /** Return a chunk if it is decoded: {buffer, offset}; else decode it. */
  get(i, k) {
    this.load(i, k);
    return this.held.get(`${i} ${k}`)?.chunk;
  }

  /** Decode a chunk. */
  load(i, k) {
    const key = `${i} ${k}`;
    const held = this.held.get(key) ?? this.begin(i, k, key);
    this.held.delete(key);
    this.held.set(key, held);
    return held.promise;
  }

  begin(i, k, key) {
    const held = { chunk: undefined, size: 0 };
    held.promise = this.assemble(i, k).then((chunk) => {
      const [start, end] = this.bounds(k);
      held.chunk = chunk;
      held.size = chunk.isShared ? 0 : (end - start) * this.format.channels;
      this.drop();
      this.onload();
      return chunk;
    });
    held.promise.catch((error) => {
      this.onerror(error);
      setTimeout(() => this.held.delete(key), 2000); // then it is tried again
    });
    return held;
  }

  /** Drop chunks until the others fit into the memory for them. */
  drop() {
    let sum = 0;
    for (const [key, { chunk, size }] of [...this.held].reverse()) {
      sum += size;
      if (sum > Chunks.MOST && chunk) this.held.delete(key);
    }
  }

  async assemble(i, k) {
    const [start, end] = this.bounds(k);
    const { ranges, read } = this.versions[i];
    const { samples, rate, channels, fade = 0 } = this.format;
    const inside = ranges.filter(([a, b]) => a < end && b > start);
    const whole = inside.find(([a, b]) => (a === 0 || a + fade <= start) && (b === samples || b - fade >= end));
    if (whole) return read(start, end);
    const base = await this.load(0, k);
    if (!inside.length) return { ...base, isShared: true };
    const buffer = new AudioBuffer({ numberOfChannels: channels, length: end - start, sampleRate: rate });
    paste(buffer, 0, base, end - start);
    for (const [a, b] of inside) {
      const [from, to] = [Math.max(a, start), Math.min(b, end)];
      const weight = (t) => Math.min(1, a > 0 ? (t - a) / fade : 1, b < samples ? (b - 1 - t) / fade : 1);
      paste(buffer, from - start, await read(from, to), to - from, fade ? (j) => weight(from + j) : null);
    }
    return { buffer, offset: 0 };
  }
}
Chunks.SECONDS = 10;
Chunks.MOST = 2 ** 26; // samples of all channels, 256 MB

/** Write n samples of a sound over a buffer from sample `at` on; `weight` mixes them with those that are there. */
function paste(target, at, { buffer, offset }, n, weight = null) {
  for (let c = 0; c < target.numberOfChannels; c++) {
    const to = target.getChannelData(c).subarray(at, at + n);
    const from = buffer.getChannelData(Math.min(c, buffer.numberOfChannels - 1)).subarray(offset, offset + n);
    if (!weight) to.set(from);
    else from.forEach((sample, j) => (to[j] += (sample - to[j]) * weight(j)));
  }
}

function decodeSound(data, { rate, channels }) {
  return new OfflineAudioContext(channels, 1, rate).decodeAudioData(data);
}
