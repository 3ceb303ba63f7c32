import { readFileSync } from "node:fs";
import { bits } from "./bits.mjs";

console.log(JSON.stringify(await bits(JSON.parse(readFileSync(0)), readFileSync("engine.wasm"))));
