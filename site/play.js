// The page of the site: every element with data-backprop-lesson shows a network, in the state that it names, each with an
// engine of its own in one WebAssembly. Nothing is asked of any other place than the site's own folder.

import { arrayOf, mount } from "./widget.js";
import { Engine, load } from "./engine.js";

const here = new URL(".", import.meta.url);

async function sets() {
  const told = await (await fetch(new URL("sets.json", here))).json();
  const part = ({ x, y }) => ({ x: arrayOf(x), y: arrayOf(y) });
  return Object.fromEntries(Object.entries(told).map(([name, { tests, ...set }]) => [name, { ...set, ...part(set), tests: part(tests) }]));
}

const DEFAULT = "layers=2-5-4-1&activation=tanh&data=moons&rate=0.5";

async function start() {
  const wasm = await (await fetch(new URL("engine.wasm", here))).arrayBuffer(), all = await sets();
  for (const root of document.querySelectorAll("[data-backprop-lesson]")) {
    const engine = new Engine(await load(wasm), { ...all }), permalink = root.dataset.backpropLesson === "";
    await engine.answer({ do: "build", sizes: [2, 5, 4, 1], data: "moons" });
    const asked = root.dataset.backpropLesson || location.hash.slice(1) || DEFAULT;
    mount(root, (message) => engine.answer(message), { start: asked, fallback: DEFAULT, permalink });
  }
}

start();
