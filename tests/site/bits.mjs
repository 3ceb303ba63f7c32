// Trains each network in the WebAssembly as bits_of_baseline.py did in Python.
import { readFileSync } from "node:fs";
import { Engine, load } from "./engine.mjs";
const wasm = await load(readFileSync("engine.wasm")), { networks, cases, batch, epochs } = JSON.parse(readFileSync(0));
const hex = (numbers) => Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength).toString("hex");
const out = [];
for (const [i, [sizes, hidden, output, loss, dtype, [rule, lr, momentum]]] of networks.entries()) {
  const { first, seed, x, y } = cases[i], kind = dtype === "float32" ? Float32Array : Float64Array;
  const engine = new Engine(wasm, { moons: { x, y, labels: true, classes: ["0", "1"], inputs: 2 } });
  const bytes = Buffer.from(first, "hex"), numbers = new kind(new Uint8Array(bytes).buffer);
  const told = async (message) => {
    const answer = await engine.answer(message);
    if (answer.error) throw new Error(answer.error);
    return answer;
  };
  await told({ do: "build", sizes, hidden, output, loss, dtype, batch, data: "moons", optimizer: { rule, lr, momentum }, seed });
  await told({ do: "set", parameters: numbers });
  const { state } = await told({ do: "train", epochs });
  const { trace } = await told({ do: "trace", index: 3 });
  out.push({ last: hex(kind.from(state.parameters)), C: state.train.loss, delta: [...trace.layers[0].dC_dz] });
}
console.log(JSON.stringify(out));
