// The engine of the page where there is no Python: csrc/core as WebAssembly. It answers the messages that
// backprop/play/answers.py answers, in the same words where they matter to the page.

const DTYPES = ["float32", "float64"], TRAIN = 0, TEST = 1;
const STATUS = {
  1: "there is not enough memory", 2: "that is too large", 5: "training diverged: the loss or a weight is no longer " +
  "finite; the network keeps the weights it had. A lower learning rate may help",
};
const GENERATOR = 48; // bytes of a struct bp_pcg
const MOST_UNDONE = 200, MOST_EPOCHS = 1000;
const RULES = { sgd: "SGD", adam: "Adam", rmsprop: "RMSprop" };

export async function load(source) {
  const host = { now: () => performance.now() };
  const { instance } = await WebAssembly.instantiate(source, { host });
  return instance.exports;
}

export class Engine {
  // wasm: what `load` gives; sets: name to {x, y, outputs, classes, tests: {x, y}, rows}, x and y arrays of doubles, or y
  // integers where they are labels.
  constructor(wasm, sets) {
    Object.assign(this, { wasm, sets, session: 0, blocks: [], version: 0, undone: [], samples: [0, 0] });
    this.names = [0, 1, 2].map((list) => this.namesOf(list));
  }

  namesOf(list) {
    const names = [];
    for (let at; (at = this.wasm.name(list, names.length)) !== 0;) {
      const bytes = new Uint8Array(this.wasm.memory.buffer, at);
      names.push(new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0))));
    }
    return names;
  }

  // What is told: a promise, as of any engine; {error} where nothing was done.
  async answer(message) {
    try {
      return this.answerNow(message);
    } catch (error) {
      if (error instanceof Refused) return { error: error.message };
      throw error;
    }
  }

  answerNow(message) {
    const does = {
      state: () => {},
      step: () => this.step(message),
      train: () => this.train(message),
      undo: () => this.undo(),
      restart: () => this.restart(),
      set: () => this.setParameters(message.parameters, true),
      data: () => this.choose(message.name),
      own: () => this.own(message),
      rate: () => this.setRate(message.lr),
      batch: () => { this.batch = whole("batch_size", message.size, 1, 100000); },
      build: () => this.build(message),
    };
    if (message.do === "trace") return { trace: this.trace(message) };
    if (message.do === "outputs") return { outputs: this.outputs(message.x) };
    if (message.do === "activations") return { activations: this.activations(message.x) };
    if (message.do === "losses") return { losses: this.losses(message) };
    if (message.do === "points") return { points: this.points() };
    if (!Object.hasOwn(does, message.do)) throw new Refused(`there is no message '${message.do}'`);
    does[message.do]();
    return { state: this.state() };
  }

  // A network: {sizes, hidden, output, loss, dtype, bias, optimizer: {rule, lr, momentum}, batch, data}; its parameters are
  // zeros until "set".
  build(asked) {
    const { sizes, hidden = "tanh", output = "sigmoid", loss = "squared_error", dtype = "float32", bias = true } = asked;
    if (!Array.isArray(sizes) || sizes.length < 2) throw new Refused("a network needs at least two layers");
    for (const size of sizes) whole("a layer's nodes", size, 1, 1024);
    const data = this.fitting(asked.data ?? this.data, sizes[0], sizes.at(-1)), rule = this.ruleOf(asked.optimizer ?? { rule: "sgd", lr: 0.5 });
    const batch = whole("batch_size", asked.batch ?? this.batch ?? 10, 1, 100000);
    const [activations, losses] = this.names;
    const layers = sizes.slice(1).map((outputs, l) => ({
      inputs: sizes[l], outputs, bias, activation: l === sizes.length - 2 ? output : hidden,
    }));
    const words = [DTYPES.indexOf(dtype), losses.indexOf(loss), layers.length];
    for (const { inputs, outputs, activation } of layers) words.push(inputs, outputs, bias ? 1 : 0, activations.indexOf(activation));
    if (words.includes(-1)) throw new Refused(`no network is ${hidden}, ${output}, ${loss} and ${dtype}`);
    const what = this.copy(new Uint32Array(words)), session = this.wasm.open(what);
    this.wasm.release(what);
    if (!session) throw new Refused(STATUS[1]);
    if (this.session) this.wasm.close(this.session);
    Object.assign(this, { session, layers, loss, dtype, epochs: 0, undone: [] });
    this.count = this.wasm.count(session);
    this.batch = batch;
    this.takeData(data);
    this.setOptimizer(rule);
    this.seed(asked.seed ?? 0);
    this.beginning = this.moment();
    this.version++;
  }

  // Doubles or integers into the memory of the WebAssembly; where they lie.
  copy(numbers) {
    const at = this.wasm.allocate(Math.max(numbers.byteLength, 8));
    if (!at) throw new Refused(STATUS[1]);
    new numbers.constructor(this.wasm.memory.buffer, at, numbers.length).set(numbers);
    return at;
  }

  real(at, count) {
    const kind = this.dtype === "float32" ? Float32Array : Float64Array;
    return new kind(this.wasm.memory.buffer, at, count);
  }

  // The samples of data for a network of so many inputs and outputs, as the WebAssembly takes them; refuses what does not fit.
  fitting(name, inputs, outputs) {
    const set = this.sets[name];
    if (!set) throw new Refused(`there are no data '${name}'`);
    if (set.inputs !== inputs) throw new Refused(`${name} has ${set.inputs} inputs, the network ${inputs}`);
    const labels = set.labels && outputs > 1, classes = set.labels ? Math.max(...set.y) + 1 : 0;
    if (classes > Math.max(outputs, 2)) throw new Refused(`${name} has ${classes} classes, the network ${outputs} outputs`);
    const parts = [set, set.tests ?? { x: [], y: [] }].map((part) => {
      const n = part.x.length / inputs, y = labels ? Int32Array.from(part.y) : Float64Array.from(part.y);
      if (y.length !== (labels ? n : n * outputs)) throw new Refused(`${name} does not fit ${outputs} outputs`);
      return { n, x: Float64Array.from(part.x), y };
    });
    return { name, labels, parts };
  }

  takeData({ name, labels, parts }) {
    for (const block of this.blocks) this.wasm.release(block);
    this.blocks = [];
    Object.assign(this, { data: name, labels, samples: parts.map(({ n }) => n) });
    parts.forEach(({ n, x, y }, which) => {
      const places = [this.copy(x), this.copy(y)];
      this.blocks.push(...places);
      this.wasm.samples(this.session, which, n, ...places, labels ? 1 : 0);
    });
  }

  // What an optimizer is asked for by, checked.
  ruleOf({ rule, lr, momentum = 0 }) {
    if (!this.names[2].includes(rule)) throw new Refused(`there is no optimizer '${rule}'`);
    if (!(momentum >= 0 && momentum < 1)) throw new Refused(`momentum must be at least 0 and less than 1, got ${momentum}`);
    return { rule, lr: positive("lr", lr), momentum };
  }

  setOptimizer({ rule, lr, momentum }) {
    const beta2 = rule === "rmsprop" ? 0.99 : 0.999;
    const settings = this.copy(Float64Array.from([lr, momentum, 0, 0.9, beta2, 1e-8, 0]));
    check(this.wasm.optimizer(this.session, this.names[2].indexOf(rule), settings));
    this.wasm.release(settings);
    this.rule = { rule, lr, momentum };
  }

  setRate(lr) {
    this.rule.lr = positive("lr", lr);
    this.wasm.rate(this.session, lr);
  }

  // state and increment of a PCG64 as 64-bit halves, the lower first, or a whole number that they follow from.
  seed(seed) {
    const words = Array.isArray(seed) ? seed.map(BigInt) : [0n, 0n, 0n, 0n].map((_, i) => splitmix(BigInt(seed) * 4n + BigInt(i)));
    words[2] |= 1n;
    const at = this.copy(BigUint64Array.from(words, (word) => BigInt.asUintN(64, word)));
    this.wasm.seed(this.session, at, at + 16);
    this.wasm.release(at);
  }

  // All that a step changes, to go back to.
  moment() {
    const vectors = [this.wasm.parameters(this.session)];
    for (let s = 0, at; (at = this.wasm.state(this.session, s)) !== 0; s++) vectors.push(at);
    const numbers = vectors.map((at) => this.real(at, this.count).slice());
    return { numbers, generator: this.generator.slice(), steps: this.wasm.steps(this.session), epochs: this.epochs };
  }

  get generator() { return new Uint8Array(this.wasm.memory.buffer, this.wasm.generator(this.session), GENERATOR); }

  goTo({ numbers, generator, steps, epochs }) {
    const places = [this.wasm.parameters(this.session), ...[0, 1].map((s) => this.wasm.state(this.session, s))];
    numbers.forEach((each, i) => this.real(places[i], this.count).set(each));
    this.generator.set(generator);
    this.wasm.set_steps(this.session, steps);
    this.epochs = epochs;
    this.version++;
  }

  remember() {
    this.undone.push(this.moment());
    if (this.undone.length > MOST_UNDONE) this.undone.shift();
  }

  step({ first, count = 1 }) {
    within("sample", first, this.samples[TRAIN]);
    whole("count", count, 1, this.samples[TRAIN] - first);
    this.remember();
    const loss = this.wasm.allocate(8);
    check(this.wasm.step(this.session, first, count, loss));
    this.wasm.release(loss);
    this.version++;
  }

  train({ epochs }) {
    whole("epochs", epochs, 1, MOST_EPOCHS);
    this.remember();
    const record = this.wasm.allocate(8 * 6 * epochs), status = this.wasm.train(this.session, epochs, this.batch, record);
    this.wasm.release(record);
    this.version++;
    check(status);
    this.epochs += epochs;
  }

  undo() {
    if (this.undone.length === 0) throw new Refused("there is nothing to undo");
    this.goTo(this.undone.pop());
  }

  restart() {
    this.goTo({ ...this.beginning, numbers: [...this.beginning.numbers] });
    this.undone = [];
  }

  // Other weights, to begin with.
  setParameters(numbers) {
    if (numbers.length !== this.count) throw new Refused(`a network of ${this.count} parameters is given ${numbers.length}`);
    this.real(this.wasm.parameters(this.session), this.count).set(numbers);
    this.generator.set(this.beginning.generator);
    this.setOptimizer(this.rule);
    this.epochs = 0;
    this.undone = [];
    this.beginning = this.moment();
    this.version++;
  }

  choose(name) {
    this.takeData(this.fitting(name, this.layers[0].inputs, this.layers.at(-1).outputs));
    this.epochs = 0;
    this.version++;
  }

  // Samples that the page brought.
  own({ name, x, y, labels, classes, inputs }) {
    this.sets[name] = { x, y, labels, classes, inputs };
  }

  trace({ set = "train", index }) {
    const which = set === "test" ? TEST : TRAIN, part = which === TEST ? this.sets[this.data].tests : this.sets[this.data];
    within("sample", index, this.samples[which]);
    const numbers = this.wasm.trace(this.session, which, index);
    if (!numbers) throw new Refused(STATUS[1]);
    let at = numbers;
    const take = (count) => {
      const taken = Float64Array.from(this.real(at, count));
      at += count * (this.dtype === "float32" ? 4 : 8);
      return taken;
    };
    const layers = this.layers.map(({ outputs: n, activation }) => {
      const [z, a, dC_da] = [take(n), take(n), take(n)], da_dz = take(activation === "softmax" ? n * n : n);
      return { z, a, dC_da, da_dz, dC_dz: take(n) };
    });
    const inputs = this.layers[0].inputs, outputs = this.layers.at(-1).outputs;
    const label = this.labels ? part.y[index] : null;
    const y = Float64Array.from({ length: outputs }, (_, j) => (this.labels ? Number(j === label) : part.y[index * outputs + j]));
    const x = Float64Array.from(this.real32(part.x.slice(index * inputs, (index + 1) * inputs)));
    return { set, index, x, y, label, loss: this.measure(which, index, 1).loss, layers };
  }

  // Samples as the network takes them, in its precision.
  real32(numbers) {
    return this.dtype === "float32" ? Float32Array.from(numbers) : numbers;
  }

  outputs(x) {
    const numbers = Float64Array.from(x), n = numbers.length / this.layers[0].inputs, width = this.layers.at(-1).outputs;
    const from = this.copy(numbers), to = this.wasm.allocate(8 * Math.max(n * width, 1));
    if (!to) throw new Refused(STATUS[1]);
    check(this.wasm.outputs(this.session, n, from, to));
    const outputs = Float64Array.from(this.real(to, n * width));
    this.wasm.release(from);
    this.wasm.release(to);
    return outputs;
  }

  activations(x) {
    const numbers = Float64Array.from(x), n = numbers.length / this.layers[0].inputs, widths = this.layers.map((layer) => layer.outputs);
    const from = this.copy(numbers), all = n * widths.reduce((sum, width) => sum + width, 0), to = this.wasm.allocate(8 * all);
    if (!to) throw new Refused(STATUS[1]);
    check(this.wasm.activations(this.session, n, from, to));
    let at = 0;
    const whole = Float64Array.from(this.real(to, all)), parts = widths.map((width) => whole.slice(at, (at += n * width)));
    this.wasm.release(from);
    this.wasm.release(to);
    return parts;
  }

  // C_0 of a sample, or C, if parameters `at` were each row of values.
  losses({ set = "train", index = null, at, values }) {
    const which = set === "test" ? TEST : TRAIN, parameters = this.real(this.wasm.parameters(this.session), this.count);
    if (index !== null) within("sample", index, this.samples[which]);
    if (!at.length || !at.every((place) => place >= 0 && place < this.count) || values.length % at.length) {
      throw new Refused(`at must name some of ${this.count} parameters, and values be rows of them`);
    }
    const kept = at.map((place) => parameters[place]), found = [];
    for (let row = 0; row < values.length; row += at.length) {
      const now = this.real(this.wasm.parameters(this.session), this.count); // the memory may have grown
      at.forEach((place, i) => { now[place] = values[row + i]; });
      found.push(this.measure(which, index ?? 0, index === null ? this.samples[which] : 1).loss);
    }
    const now = this.real(this.wasm.parameters(this.session), this.count);
    at.forEach((place, i) => { now[place] = kept[i]; });
    return Float64Array.from(found);
  }

  points() {
    const { x, y, labels, tests = { x: [], y: [] }, classes } = this.sets[this.data], outputs = this.layers.at(-1).outputs;
    const shown = (part) => ({ x: Float64Array.from(part.x), y: Float64Array.from(part.y) });
    return { inputs: this.layers[0].inputs, columns: this.labels || (labels && outputs === 1) ? 1 : outputs, classes, train: shown({ x, y }), test: shown(tests) };
  }

  measure(which, first, count) {
    const at = this.wasm.measure(this.session, which, first, count);
    if (!at) throw new Refused(STATUS[1]);
    const [loss, accuracy] = new Float64Array(this.wasm.memory.buffer, at, 2);
    return { loss, accuracy, samples: count };
  }

  state() {
    const [train, test] = [TRAIN, TEST].map((which) => (this.samples[which] ? this.measure(which, 0, this.samples[which]) : null));
    const { rule, lr, momentum } = this.rule;
    return {
      layers: this.layers, loss: this.loss, dtype: this.dtype, batch: this.batch, epochs: this.epochs, version: this.version,
      optimizer: { rule, lr, momentum, text: `${RULES[rule]}(${lr}${momentum ? `, momentum=${momentum}` : ""})`, plain: rule === "sgd" && momentum === 0 },
      data: {
        name: this.data, samples: this.samples[TRAIN], tests: this.samples[TEST], classes: this.sets[this.data].classes ?? null,
        names: Object.keys(this.sets).filter((name) => this.sets[name].inputs === this.layers[0].inputs),
      },
      nodes: 8, undo: this.undone.length, builds: true, train, test,
      parameters: Float64Array.from(this.real(this.wasm.parameters(this.session), this.count)),
    };
  }
}

class Refused extends Error {}

function check(status) {
  if (status !== 0) throw new Refused(STATUS[status] ?? `the engine answers ${status}`);
}

function whole(what, value, least, most) {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new Refused(`${what} must be a whole number from ${least} to ${most}, got ${value}`);
  }
  return value;
}

function within(what, index, count) {
  if (!Number.isInteger(index) || index < 0 || index >= count) throw new Refused(`${what} must be below ${count}, got ${index}`);
}

function positive(what, value) {
  if (!(value > 0) || !Number.isFinite(value)) throw new Refused(`${what} must be greater than 0 and finite, got ${value}`);
  return value;
}

// 64 bits that follow from 64 bits: Steele, Lea and Flood, "Fast splittable pseudorandom number generators".
function splitmix(x) {
  const bits = (value) => BigInt.asUintN(64, value);
  let z = bits(x * 0x9e3779b97f4a7c15n + 0x9e3779b97f4a7c15n);
  z = bits((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = bits((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}
