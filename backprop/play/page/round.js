// A round: one step of gradient descent for one sample, taken apart. Forward through every layer, backward through every
// layer, then the update of every layer, from the output layer back. Its terms are those of one trace, taken when it
// begins; the optimizer steps once, when the first layer is updated. Depends on numbers.js.

import { arrayOf, layerName } from "./numbers.js";

export const PHASES = ["forward", "backward", "update"];
const TERMS = ["z", "a", "dC_da", "da_dz", "dC_dz"];

export class Round {
  // ask: sends a message to the engine and gives what was asked for; a refusal is an Error.
  constructor(ask) {
    Object.assign(this, { ask, state: null, index: 0, set: "train", done: 0, count: 1, mine: -1 });
  }

  // The engine's state, as it was told; a change that is not of this round begins another one.
  take(state) {
    this.state = { ...state, parameters: arrayOf(state.parameters) };
    let at = 0;
    this.places = state.layers.map(({ inputs, outputs, bias }) => {
      const weights = at, biases = at + inputs * outputs;
      at = biases + (bias ? outputs : 0);
      return { weights, biases };
    });
  }

  get layers() { return this.state.layers.length; }
  get last() { return this.layers - 1; }
  get steps() { return 3 * this.layers; }
  get stale() { return this.state.version !== this.mine; }
  name(layer) { return layerName(layer, this.layers); }

  // Anew for a sample, which nothing is computed of yet.
  async begin(index = this.index, set = this.set) {
    const { trace } = await this.ask({ do: "trace", index, set });
    for (const key of ["x", "y"]) trace[key] = arrayOf(trace[key]);
    for (const layer of trace.layers) for (const term of TERMS) layer[term] = arrayOf(layer[term]);
    Object.assign(this, { index, set, trace, done: 0, after: null, before: this.state.parameters, mine: this.state.version });
  }

  // The phase and the layer of a step, counted from 0.
  at(step) {
    const phase = Math.floor(step / this.layers), place = step % this.layers;
    return { phase: PHASES[phase], layer: phase === 0 ? place : this.last - place };
  }

  get coming() { return this.at(this.done % this.steps); }
  get latest() { return this.done === 0 ? null : this.at(this.done - 1); }

  has(phase, layer) {
    return this.done > PHASES.indexOf(phase) * this.layers + (phase === "forward" ? layer : this.last - layer);
  }

  get updates() { return this.set === "train"; }

  // One layer on; after the last one another round begins.
  async next() {
    if (this.done === this.steps || (!this.updates && this.done === 2 * this.layers)) await this.begin();
    if (this.coming.phase === "update" && this.after === null) {
      this.take((await this.ask({ do: "step", first: this.index })).state);
      this.after = { parameters: this.state.parameters, loss: null };
      this.mine = this.state.version;
    }
    this.done++;
    if (this.done === this.steps) this.after.loss = (await this.ask({ do: "trace", index: this.index })).trace.loss;
  }

  // One layer back; before the first one, what was done before this round is undone.
  async back() {
    if (this.done === 0) {
      this.take((await this.ask({ do: "undo" })).state);
      return this.begin();
    }
    this.done--;
    if (this.after && this.done <= 2 * this.layers) {
      this.take((await this.ask({ do: "undo" })).state);
      this.mine = this.state.version;
      this.after = null;
    }
  }

  get canGoBack() { return this.done > 0 || this.state.undo > 0; }

  // a of a layer, which -1 are the inputs.
  a(layer) { return layer < 0 ? this.trace.x : this.trace.layers[layer].a; }

  hasA(layer) { return layer < 0 || this.has("forward", layer); }

  // A weight, or the bias where k is null: as it was when the round began, and as it is now.
  valueIn(parameters, layer, j, k) {
    const { inputs, outputs } = this.state.layers[layer], { weights, biases } = this.places[layer];
    return parameters[k === null ? biases + j : weights + k * outputs + j];
  }

  was(layer, j, k) { return this.valueIn(this.before, layer, j, k); }

  now(layer, j, k) {
    const moved = this.after && this.has("update", layer);
    return this.valueIn(moved ? this.after.parameters : this.before, layer, j, k);
  }

  // The factors of ∂C_0/∂w: ∂z/∂w, and the node's ∂C_0/∂z, which is ∂C_0/∂a · ∂a/∂z but for softmax.
  terms(layer, j, k) {
    const { dC_da, da_dz, dC_dz } = this.trace.layers[layer], dz_dw = k === null ? 1 : this.a(layer - 1)[k];
    const product = this.product(dC_dz[j], dz_dw);
    return this.softmax(layer)
      ? { dC_dz: dC_dz[j], dz_dw, product }
      : { dC_da: dC_da[j], da_dz: da_dz[j], dz_dw, dC_dz: dC_dz[j], product };
  }

  // In the network's precision, as the engine multiplies.
  product(a, b) { return this.state.dtype === "float32" ? Math.fround(a * b) : a * b; }

  softmax(layer) { return this.state.layers[layer].activation === "softmax"; }
}
