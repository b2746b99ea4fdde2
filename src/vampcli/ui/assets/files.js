"use strict";

const LARGEST_MB = 512; // of an upload

/** Open recordings: sent from the browser, dropped, or by their path in the folder of the server. */
function bindFiles(guarded, clear) {
  const send = guarded(async (file) => {
    clear();
    const size_mb = Math.round(file.size / 2 ** 20); // the server would refuse it, too, after all was sent
    if (size_mb > LARGEST_MB) throw new Error(`${file.name} has ${size_mb} MB, ${LARGEST_MB} are taken at most: vamp ui FILE opens a file of any size`);
    const sending = find("sending");
    sending.hidden = false;
    try {
      await ask(`sound?name=${encodeURIComponent(file.name)}`, { method: "PUT", body: file });
    } finally {
      sending.hidden = true;
    }
  });
  find("file").addEventListener("change", () => find("file").files.length && send(find("file").files[0]));
  const dropping = (is) => document.body.classList.toggle("dropping", is);
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    dropping(true);
  });
  document.addEventListener("dragleave", () => dropping(false));
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    dropping(false);
    send(event.dataTransfer.files[0]);
  });

  const open = guarded(async () => {
    clear();
    await post("open", { path: find("path").value });
  });
  find("path").addEventListener("keydown", (event) => event.key === "Enter" && open());
  find("open").addEventListener("click", open);
  const list = guarded(async () => {
    const { folder, recordings, more } = await (await ask("recordings")).json();
    find("root").textContent = folder;
    find("recordings").replaceChildren(...recordings.map((value) => make("option", { value })));
    find("more-recordings").textContent = more ? ` The list holds the first ${recordings.length}.` : "";
  });
  find("path").addEventListener("focus", list);
  list();
}
