"use strict";

// The controls of a listening page: they show the state of a `TakePlayer` and change it.
{
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id);
  const rows = [...document.querySelectorAll(".track")];
  const [play, position, clock, loop, match, status] = ["play", "position", "clock", "loop", "match", "status"].map(find);
  const failed = (error) => say(`This browser cannot decode the sound of this page: ${error.message}. Try --page-audio flac.`);
  const fade = data.exact ? 0 : Math.round(0.005 * data.rate); // coding noise differs between files
  const chunks = new Chunks({ ...data, fade }, undefined, failed);
  const player = new TakePlayer(chunks, show);
  const test = new BlindTest();
  let hearsX = false; // then no row is shown as the one that is heard

  const time = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(2).padStart(5, "0")}`;
  const say = (text) => (status.textContent = text);

  // Sound: files in base64, each decoded whole when a part of it is needed
  const sumOf = (tracks) => tracks.flatMap(({ segments }) => segments).reduce((sum, { n }) => sum + n * data.channels, 0);
  const isLarge = sumOf(data.tracks) > 2 ** 27; // samples, 512 MB
  const decoded = new Map(); // the latest used last
  function decode(segment) {
    const sound = decoded.get(segment) ?? decodeSound(bytesOf(segment.data).buffer, data);
    decoded.delete(segment);
    decoded.set(segment, sound);
    const [, second] = decoded.keys(); // the first is the recording
    if (isLarge && decoded.size > 3) decoded.delete(second);
    return sound;
  }

  data.tracks.forEach(({ segments }, i) => {
    const ranges = segments.map(({ start, n }) => [start, start + n]);
    const read = async (from) => {
      const segment = segments.findLast(({ start }) => start <= from);
      return { buffer: await decode(segment), offset: from - segment.start };
    };
    chunks.add(ranges, read, i > 0 && isLarge);
  });
  player.setLevels(data.tracks.map((track) => track.gain_db));

  function bytesOf(base64) {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  }

  function show() {
    play.textContent = player.playing ? "Pause" : "Play";
    rows.forEach((row, i) => {
      const heard = !hearsX && i === player.selected;
      row.querySelector(".choose").setAttribute("aria-pressed", heard);
      row.classList.toggle("heard", heard);
    });
    moveCursor();
    if (player.playing) requestAnimationFrame(follow);
  }

  let following = false;
  function follow() {
    if (following || !player.playing) return;
    following = true;
    requestAnimationFrame(() => {
      following = false;
      moveCursor();
      follow();
    });
  }

  function moveCursor() {
    const x = (player.position / player.duration) * data.columns;
    for (const line of document.querySelectorAll(".cursor")) {
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
    }
    position.value = player.position;
    position.setAttribute("aria-valuetext", `${player.position.toFixed(1)} seconds`);
    clock.textContent = `${time(player.position)} / ${time(player.duration)}`;
  }

  function choose(i) {
    if (!(i in data.tracks)) return;
    hearsX = false;
    player.select(i);
    say(`Hearing ${data.tracks[i].label}`);
  }

  const setLoop = () => player.setLoop(data.loops[loop.value] ?? null);

  function toggleLoop() {
    loop.value = loop.value === "off" ? "0" : "off";
    setLoop();
    say(loop.value === "off" ? "Loop off" : `Loop ${loop.selectedOptions[0].textContent}`);
  }

  // Transport and rows
  play.addEventListener("click", () => player.toggle());
  position.addEventListener("input", () => player.seek(Number(position.value)));
  loop.addEventListener("change", setLoop);
  match.addEventListener("change", () => player.setMatched(match.checked));
  rows.forEach((row, i) => {
    row.querySelector(".choose").addEventListener("click", () => choose(i));
    const picture = row.querySelector("svg");
    picture.addEventListener("click", (event) => {
      const { left, width } = picture.getBoundingClientRect();
      player.seek(((event.clientX - left) / width) * player.duration);
    });
  });
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", () => copy(button.parentElement.querySelector("code")));
  }

  async function copy(code) {
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    say("Copied");
  }

  // Blind test
  const sides = { a: find("abx-a"), b: find("abx-b") };
  const result = find("abx-result");

  function hear(letter) {
    const side = letter === "x" ? (test.xIsB ? "b" : "a") : letter;
    choose(Number(sides[side].value));
    hearsX = letter === "x";
    show();
    say(`Hearing ${letter.toUpperCase()}`);
    player.play();
  }

  function answer(letter) {
    const right = test.answer(letter === "b");
    result.textContent =
      `${right ? "Right" : "Wrong"}. ${test.right} of ${test.trials} right; ` +
      `by guessing, so many or more have a chance of ${test.p.toPrecision(2)} (p).`;
    if (hearsX) hear("x");
  }

  function restart() {
    test.reset();
    result.textContent = "No answer yet.";
  }

  for (const button of document.querySelectorAll("[data-hear]")) {
    button.addEventListener("click", () => hear(button.dataset.hear));
  }
  for (const button of document.querySelectorAll("[data-answer]")) {
    button.addEventListener("click", () => answer(button.dataset.answer));
  }
  for (const side of Object.values(sides)) side.addEventListener("change", restart);
  find("abx-reset").addEventListener("click", restart);

  const actions = { a: () => hear("a"), b: () => hear("b"), x: () => hear("x"), l: toggleLoop };
  bindKeys(player, choose, actions);
  player.prepare().then(() => {
    for (const control of document.querySelectorAll(":disabled")) control.disabled = false;
    document.documentElement.dataset.ready = performance.now().toFixed();
    say("Ready");
  }, failed);
  globalThis.vampPage = { player, test };
}
