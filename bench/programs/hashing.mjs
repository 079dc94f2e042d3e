// Speed of XXH3-128 on one runtime: hashing.mjs XXH3 HASH_WASM prints { size: [TypeScript, hash-wasm] } in GB/s.

import process from "node:process";

const [ours, wasm] = process.argv.slice(2);
const { Xxh3 } = await import(ours);
const { createXXHash128 } = await import(wasm);
const hasher = await createXXHash128();
const speeds = {};
for (const size of [4096, 1 << 20]) {
  const bytes = new Uint8Array(size).map((_, index) => index * 7);
  const rate = (hash) => {
    const rounds = Math.ceil(1e8 / size);
    for (let round = 0; round < rounds / 5; round++) hash();
    const begin = performance.now();
    for (let round = 0; round < rounds; round++) hash();
    return rounds * size / (performance.now() - begin) / 1e6;
  };
  speeds[size] = [
    rate(() => new Xxh3().update(bytes).digest()),
    rate(() => {
      hasher.init();
      hasher.update(bytes);
      hasher.digest("binary");
    }),
  ];
}
console.log(JSON.stringify(speeds));
