// Every terminal once, each for a new file, in a process that may touch one directory only. Prints what each
// reached or its error code, and then the files that are there.

import { AtomicFile, type Durability, readVerified, readVerifiedSync } from "@crashsafe/fs";
import { readdirSync } from "node:fs";
import { argv } from "node:process";

const [dir = "", durability = "full"] = argv.slice(2);
const source = `${dir}/source`;
const DIGEST = "06b05ab6733a618578af5f94892f3950";

type Use = (file: AtomicFile) => unknown;
const uses: Readonly<Record<string, Use>> = {
  write: (file) => file.write("abc"),
  writeSync: (file) => file.writeSync("abc"),
  copyFrom: (file) => file.copyFrom(source),
  copyFromSync: (file) => file.copyFromSync(source),
  concatFrom: (file) => file.concatFrom([source]),
  concatFromSync: (file) => file.concatFromSync([source]),
  writeWith: (file) => file.writeWith((sink) => sink.write("abc")),
  writeWithSync: (file) => file.writeWithSync((sink) => sink.write("abc")),
  stream: (file) => file.stream(["a", "bc"]),
  streamSync: (file) => file.streamSync(["a", "bc"]),
  writable: async (file) => {
    const { writable, receipt } = file.writable();
    // Both tell of a failure; one is enough here.
    receipt.catch(() => {});
    await new Blob(["abc"]).stream().pipeTo(writable);
    return await receipt;
  },
  exclusive: (file) => new AtomicFile(file.path, { ...options, existing: "fail" }).write("abc"),
};
const options = { durability: durability as Durability, hash: DIGEST };

for (const [name, use] of Object.entries(uses)) {
  try {
    const receipt = await use(new AtomicFile(`${dir}/out/${name}`, options)) as {
      durability: string;
    };
    const async = await readVerified(`${dir}/out/${name}`, DIGEST);
    const sync = readVerifiedSync(`${dir}/out/${name}`, DIGEST);
    console.log(name, receipt.durability, async.length, sync.length);
  } catch (error) {
    console.log(name, (error as { code?: string }).code ?? String(error));
  }
}
const made = readdirSync(dir).includes("out") ? readdirSync(`${dir}/out`).sort() : [];
console.log("made:", made.join(" "));
