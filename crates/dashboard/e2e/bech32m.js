// Encodes what the page decodes, for the tests.

const CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

function polymod(values) {
  let check = 1;
  for (const value of values) {
    const top = check >>> 25;
    check = ((check & 0x1ffffff) << 5) ^ value;
    GENERATOR.forEach((word, at) => { if ((top >>> at) & 1) check ^= word; });
  }
  return check >>> 0;
}

export function encode(prefix, version, bytes) {
  const bits = bytes.map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const words = [version, ...bits.match(/.{1,5}/g).map((group) => parseInt(group.padEnd(5, "0"), 2))];
  const codes = [...prefix].map((character) => character.charCodeAt(0));
  const head = [...codes.map((code) => code >>> 5), 0, ...codes.map((code) => code & 31)];
  const check = polymod([...head, ...words, 0, 0, 0, 0, 0, 0]) ^ 0x2bc830a3;
  const sum = Array.from({ length: 6 }, (_, at) => (check >>> (5 * (5 - at))) & 31);
  return `${prefix}1${[...words, ...sum].map((word) => CHARACTERS[word]).join("")}`;
}
