// What a network on the page is made of, as the part of an address after #, and from the fields. Depends on nothing.

const TEXTS = ["data", "output", "loss"], WHOLE = ["batch", "seed", "sample", "epochs", "done"];

// Of the fields, as the message "build" takes it.
export function changesOf(page, state) {
  const hidden = page.hidden.value.split(/[\s,x×-]+/).filter(Boolean).map(Number);
  if (!hidden.every((size) => Number.isInteger(size) && size > 0)) throw new Error(`hidden layers are widths such as 5-4, got ${page.hidden.value}`);
  const momentum = page.optimizer.value === "momentum" ? 0.9 : 0, rule = momentum ? "sgd" : page.optimizer.value;
  return {
    sizes: [state.layers[0].inputs, ...hidden, state.layers.at(-1).outputs], hidden: page.activation.value,
    output: page.output.value, loss: page.loss.value, optimizer: { rule, lr: Number(page.rate.value), momentum },
    batch: Number(page.batch.value), data: state.data.name, seed: Number(page.seed.value),
  };
}

// The same of an address; null where it has none.
export function settingsOf(text) {
  const asked = new URLSearchParams(text), settings = {};
  if (!asked.has("layers")) return null;
  settings.sizes = asked.get("layers").split("-").map(Number);
  settings.hidden = asked.get("activation") ?? "tanh";
  for (const key of TEXTS) if (asked.has(key)) settings[key] = asked.get(key);
  for (const key of WHOLE) if (asked.has(key)) settings[key] = Number(asked.get(key));
  const rule = asked.get("optimizer") ?? "sgd", momentum = Number(asked.get("momentum") ?? 0);
  settings.optimizer = { rule, lr: Number(asked.get("rate") ?? 0.5), momentum };
  if (asked.has("weight")) {
    const [layer, j, k] = asked.get("weight").split(".");
    settings.weight = { layer: Number(layer), j: Number(j), k: k === "b" ? null : Number(k) };
  }
  return settings;
}

export function hashOf(round, chosen, seed) {
  const { state } = round, { layers, optimizer } = state;
  const asked = new URLSearchParams({
    layers: [layers[0].inputs, ...layers.map((layer) => layer.outputs)].join("-"),
    activation: layers[0].activation, output: layers.at(-1).activation, loss: state.loss, data: state.data.name,
    optimizer: optimizer.rule, rate: optimizer.lr ?? "", batch: state.batch, seed, sample: round.index, epochs: state.epochs,
    done: round.done > 2 * round.layers ? 2 * round.layers : round.done,
    weight: `${chosen.layer}.${chosen.j}.${chosen.k ?? "b"}`,
  });
  if (optimizer.momentum) asked.set("momentum", optimizer.momentum);
  return `#${asked}`;
}
