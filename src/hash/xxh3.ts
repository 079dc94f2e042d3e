/**
 * XXH3 with 128 bits (seed 0, default secret), for calls that cannot wait for hash-wasm to start.
 *
 * Written from the XXH3 part of the xxHash specification (doc/xxhash_spec.md of the xxHash project). The inner loop works on
 * halves of 32 bits, because a BigInt operation costs more than a whole stripe; what runs once per
 * digest uses BigInt and stays close to the text of the specification.
 */

/** A running XXH3-128. */
export class Xxh3 {
  #length = 0;
  readonly #acc = Uint32Array.from(INITIAL_ACC);
  /** The last, not yet consumed bytes, up to a whole block: only at the end is it known which stripe is the last. */
  readonly #block = new Uint8Array(BLOCK_BYTES);
  readonly #blockWords = new Uint32Array(this.#block.buffer);
  #buffered = 0;
  /** The last stripe consumed, for an end that falls short of a whole one. */
  readonly #lastStripe = new Uint8Array(STRIPE_BYTES);

  /** Takes the next bytes. */
  update(bytes: Uint8Array): this {
    this.#length += bytes.byteLength;
    let at = 0;
    while (at < bytes.byteLength) {
      if (this.#buffered === BLOCK_BYTES) this.#consume(this.#blockWords, this.#block, 0);
      if (this.#buffered === 0) at = this.#consumeInPlace(bytes, at);
      const part = bytes.subarray(at, at + BLOCK_BYTES - this.#buffered);
      this.#block.set(part, this.#buffered);
      this.#buffered += part.byteLength;
      at += part.byteLength;
    }
    return this;
  }

  /** The 16 bytes of the digest, in the order in which `xxhsum -H2` prints them. More may be taken afterwards. */
  digest(): Uint8Array {
    const { low, high } = this.#length <= LONGEST_SHORT_BYTES
      ? shortHash(this.#block.subarray(0, this.#length))
      : this.#longHash();
    const digest = new Uint8Array(16);
    const view = new DataView(digest.buffer);
    view.setBigUint64(0, high);
    view.setBigUint64(8, low);
    return digest;
  }

  /** Consumes whole blocks where they lie, as long as something follows them. Answers where it stopped. */
  #consumeInPlace(bytes: Uint8Array, from: number): number {
    let at = from;
    if ((bytes.byteOffset + at) % 4 !== 0) return at;
    const words = new Uint32Array(
      bytes.buffer,
      bytes.byteOffset + at,
      (bytes.byteLength - at) >>> 2,
    );
    while (bytes.byteLength - at > BLOCK_BYTES) {
      this.#consume(words, bytes, at, (at - from) >>> 2);
      at += BLOCK_BYTES;
    }
    return at;
  }

  #consume(words: Uint32Array, bytes: Uint8Array, at: number, wordAt = 0): void {
    for (let stripe = 0; stripe < STRIPES_PER_BLOCK; stripe++) {
      accumulate(this.#acc, words, wordAt + stripe * 16, SECRET_WORDS, stripe * 2);
    }
    scramble(this.#acc);
    this.#lastStripe.set(bytes.subarray(at + BLOCK_BYTES - STRIPE_BYTES, at + BLOCK_BYTES));
    this.#buffered = 0;
  }

  #longHash(): Hash128 {
    const acc = Uint32Array.from(this.#acc);
    const whole = Math.floor((this.#buffered - 1) / STRIPE_BYTES);
    for (let stripe = 0; stripe < whole; stripe++) {
      accumulate(acc, this.#blockWords, stripe * 16, SECRET_WORDS, stripe * 2);
    }
    const last = new Uint8Array(STRIPE_BYTES);
    const missing = Math.max(0, STRIPE_BYTES - this.#buffered);
    last.set(this.#lastStripe.subarray(STRIPE_BYTES - missing));
    last.set(
      this.#block.subarray(this.#buffered - STRIPE_BYTES + missing, this.#buffered),
      missing,
    );
    accumulate(acc, new Uint32Array(last.buffer), 0, LAST_SECRET_WORDS, 0);
    const length = BigInt(this.#length);
    return {
      low: mergeAccumulators(acc, 11, u64(length * P64_1)),
      high: mergeAccumulators(acc, SECRET_BYTES - STRIPE_BYTES - 11, u64(~(length * P64_2))),
    };
  }
}

interface Hash128 {
  readonly low: bigint;
  readonly high: bigint;
}

const STRIPE_BYTES = 64;
const STRIPES_PER_BLOCK = 16;
const BLOCK_BYTES = STRIPE_BYTES * STRIPES_PER_BLOCK;
const LONGEST_SHORT_BYTES = 240;
const SECRET_BYTES = 192;

const P32_1 = 0x9e3779b1n;
const P32_2 = 0x85ebca77n;
const P32_3 = 0xc2b2ae3dn;
const P64_1 = 0x9e3779b185ebca87n;
const P64_2 = 0xc2b2ae3d27d4eb4fn;
const P64_3 = 0x165667b19e3779f9n;
const P64_4 = 0x85ebca77c2b2ae63n;
const P64_5 = 0x27d4eb2f165667c5n;
const PRIME_MX1 = 0x165667919e3779f9n;
const PRIME_MX2 = 0x9fb21c651e98df25n;

/** The default secret of the specification. */
const SECRET = Uint8Array.from(
  ("b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f" +
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c" +
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8" +
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364" +
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e" +
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e").match(/../g) ?? [],
  (hex) => parseInt(hex, 16),
);
const SECRET_VIEW = new DataView(SECRET.buffer);
const SECRET_WORDS = new Uint32Array(SECRET.buffer);
/** The secret of the last stripe begins at an odd byte. */
const LAST_SECRET_WORDS = new Uint32Array(
  SECRET.slice(SECRET_BYTES - STRIPE_BYTES - 7, SECRET_BYTES - 7).buffer,
);
const INITIAL_ACC = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1].flatMap((
  lane,
) => [Number(lane & 0xffffffffn), Number(lane >> 32n)]);

/**
 * One stripe: each of the eight 64-bit lanes adds its neighbour's input, and the product of the halves of its own input
 * keyed with the secret. Lanes are pairs of 32-bit words, low first.
 */
function accumulate(
  acc: Uint32Array,
  input: Uint32Array,
  at: number,
  secret: Uint32Array,
  secretAt: number,
): void {
  for (let lane = 0; lane < 16; lane += 4) {
    const low0 = input[at + lane] as number;
    const high0 = input[at + lane + 1] as number;
    const low1 = input[at + lane + 2] as number;
    const high1 = input[at + lane + 3] as number;
    addProduct(
      acc,
      lane,
      low0 ^ (secret[secretAt + lane] as number),
      high0 ^ (secret[secretAt + lane + 1] as number),
      low1,
      high1,
    );
    addProduct(
      acc,
      lane + 2,
      low1 ^ (secret[secretAt + lane + 2] as number),
      high1 ^ (secret[secretAt + lane + 3] as number),
      low0,
      high0,
    );
  }
}

/** acc[lane] += a * b + (low, high), where a and b are 32 bits and the sums have 64. */
function addProduct(
  acc: Uint32Array,
  lane: number,
  a: number,
  b: number,
  low: number,
  high: number,
): void {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16);
  const cross = Math.imul(aLow, bHigh) + (middle & 0xffff);
  const productHigh = Math.imul(aHigh, bHigh) + (middle >>> 16) + (cross >>> 16);
  // Three words of 32 bits: their sum is exact as a number, and what is above 32 bits is the carry.
  const sum = (acc[lane] as number) + (Math.imul(a, b) >>> 0) + low;
  acc[lane] = sum;
  acc[lane + 1] = (acc[lane + 1] as number) + high + productHigh + (sum / 4294967296 | 0);
}

function scramble(acc: Uint32Array): void {
  for (let lane = 0; lane < 16; lane += 2) {
    const low = acc[lane] as number;
    const high = acc[lane + 1] as number;
    // lane ^= lane >> 47; lane ^= secret; lane *= P32_1
    const keyedLow = (low ^ (high >>> 15) ^ (SECRET_WORDS[32 + lane] as number)) >>> 0;
    const keyedHigh = high ^ (SECRET_WORDS[33 + lane] as number);
    acc[lane] = 0;
    acc[lane + 1] = 0;
    addProduct(acc, lane, keyedLow, 0x9e3779b1, 0, Math.imul(keyedHigh, 0x9e3779b1) >>> 0);
  }
}

function mergeAccumulators(acc: Uint32Array, secretAt: number, start: bigint): bigint {
  const lane = (index: number): bigint =>
    BigInt(acc[2 * index] as number) | BigInt(acc[2 * index + 1] as number) << 32n;
  let sum = start;
  for (let pair = 0; pair < 4; pair++) {
    sum += fold(
      lane(2 * pair) ^ secret64(secretAt + 16 * pair),
      lane(2 * pair + 1) ^ secret64(secretAt + 16 * pair + 8),
    );
  }
  return avalanche(u64(sum));
}

function shortHash(bytes: Uint8Array): Hash128 {
  const length = bytes.byteLength;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  if (length === 0) {
    return {
      low: avalanche64(secret64(64) ^ secret64(72)),
      high: avalanche64(secret64(80) ^ secret64(88)),
    };
  }
  if (length <= 3) return hash1to3(view);
  if (length <= 8) return hash4to8(view);
  if (length <= 16) return hash9to16(view);
  return length <= 128 ? hash17to128(view) : hash129to240(view);
}

function hash1to3(view: DataView): Hash128 {
  const length = view.byteLength;
  const combined = view.getUint8(0) << 16 | view.getUint8(length >> 1) << 24 |
    view.getUint8(length - 1) | length << 8;
  const swapped = swap32(combined);
  const rotated = (swapped << 13 | swapped >>> 19) >>> 0;
  return {
    low: avalanche64(BigInt(combined >>> 0) ^ secret32(0) ^ secret32(4)),
    high: avalanche64(BigInt(rotated) ^ secret32(8) ^ secret32(12)),
  };
}

function hash4to8(view: DataView): Hash128 {
  const length = view.byteLength;
  const input = BigInt(view.getUint32(0, true)) | BigInt(view.getUint32(length - 4, true)) << 32n;
  const product = (input ^ secret64(16) ^ secret64(24)) * (P64_1 + BigInt(length << 2));
  let low = u64(product);
  let high = u64((product >> 64n) + (low << 1n));
  low ^= high >> 3n;
  low ^= low >> 35n;
  low = u64(low * PRIME_MX2);
  low ^= low >> 28n;
  high = avalanche(high);
  return { low, high };
}

function hash9to16(view: DataView): Hash128 {
  const length = view.byteLength;
  const first = view.getBigUint64(0, true);
  let last = view.getBigUint64(length - 8, true);
  const product = (first ^ last ^ secret64(32) ^ secret64(40)) * P64_1;
  let low = u64(u64(product) + (BigInt(length - 1) << 54n));
  last ^= secret64(48) ^ secret64(56);
  const high = u64((product >> 64n) + last + (last & 0xffffffffn) * (P32_2 - 1n));
  low ^= swap64(high);
  const mixed = low * P64_2;
  return {
    low: avalanche(u64(mixed)),
    high: avalanche(u64((mixed >> 64n) + high * P64_2)),
  };
}

function hash17to128(view: DataView): Hash128 {
  const length = view.byteLength;
  const sums: Sums = { low: u64(BigInt(length) * P64_1), high: 0n };
  for (let from = Math.floor((length - 1) / 32) * 16; from >= 0; from -= 16) {
    mix32(sums, view, from, length - 16 - from, 2 * from);
  }
  return finishSums(sums, length);
}

function hash129to240(view: DataView): Hash128 {
  const length = view.byteLength;
  const sums: Sums = { low: u64(BigInt(length) * P64_1), high: 0n };
  for (let at = 0; at < 128; at += 32) mix32(sums, view, at, at + 16, at);
  sums.low = avalanche(sums.low);
  sums.high = avalanche(sums.high);
  for (let at = 128; at + 32 <= length; at += 32) mix32(sums, view, at, at + 16, at - 125);
  mix32(sums, view, length - 16, length - 32, 103);
  return finishSums(sums, length);
}

interface Sums {
  low: bigint;
  high: bigint;
}

function mix32(sums: Sums, view: DataView, one: number, two: number, secretAt: number): void {
  const low1 = view.getBigUint64(one, true);
  const high1 = view.getBigUint64(one + 8, true);
  const low2 = view.getBigUint64(two, true);
  const high2 = view.getBigUint64(two + 8, true);
  sums.low += fold(low1 ^ secret64(secretAt), high1 ^ secret64(secretAt + 8));
  sums.low = u64(sums.low) ^ u64(low2 + high2);
  sums.high += fold(low2 ^ secret64(secretAt + 16), high2 ^ secret64(secretAt + 24));
  sums.high = u64(sums.high) ^ u64(low1 + high1);
}

function finishSums({ low, high }: Sums, length: number): Hash128 {
  return {
    low: avalanche(u64(low + high)),
    high: u64(-avalanche(u64(low * P64_1 + high * P64_4 + BigInt(length) * P64_2))),
  };
}

/** The low half of a 128-bit product, xored with the high half. */
function fold(a: bigint, b: bigint): bigint {
  const product = a * b;
  return u64(product) ^ (product >> 64n);
}

function avalanche(hash: bigint): bigint {
  const mixed = u64((hash ^ (hash >> 37n)) * PRIME_MX1);
  return mixed ^ (mixed >> 32n);
}

/** The avalanche of XXH64, which the shortest inputs use. */
function avalanche64(hash: bigint): bigint {
  let mixed = u64((hash ^ (hash >> 33n)) * P64_2);
  mixed = u64((mixed ^ (mixed >> 29n)) * P64_3);
  return mixed ^ (mixed >> 32n);
}

function secret32(at: number): bigint {
  return BigInt(SECRET_VIEW.getUint32(at, true));
}

function secret64(at: number): bigint {
  return SECRET_VIEW.getBigUint64(at, true);
}

function swap32(word: number): number {
  return (word << 24 | (word & 0xff00) << 8 | word >>> 8 & 0xff00 | word >>> 24) >>> 0;
}

function swap64(word: bigint): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, word, true);
  return view.getBigUint64(0);
}

function u64(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}
