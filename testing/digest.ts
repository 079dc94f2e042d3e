/** 96 bits of a text: three rounds of xor and multiply with different constants. Equal digests are taken for equal states. */
export function digest(text: string): string {
  let [a, b, c] = [0xdeadbeef, 0x41c6ce57, 0x9e3779b9];
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    a = Math.imul(a ^ code, 2_654_435_761);
    b = Math.imul(b ^ code, 1_597_334_677);
    c = Math.imul(c ^ code, 2_246_822_519);
  }
  const mixed = [a ^ (b >>> 15), b ^ (c >>> 13), c ^ (a >>> 16)];
  return mixed.map((one) => (one >>> 0).toString(36)).join(".");
}
