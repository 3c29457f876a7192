// Bech32m (BIP 350), for strings longer than addresses, with a version before the data (BIP 352).

export const CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const CONSTANT = 0x2bc830a3;

export function polymod(values) {
  let check = 1;
  for (const value of values) {
    const top = check >>> 25;
    check = ((check & 0x1ffffff) << 5) ^ value;
    GENERATOR.forEach((word, at) => { if ((top >>> at) & 1) check ^= word; });
  }
  return check >>> 0;
}

// `{version, data}` of a lower-case string; undefined if it is none, or its checksum is wrong.
export function decode(text) {
  const at = text.lastIndexOf("1");
  const prefix = text.slice(0, at);
  const values = [...text.slice(at + 1)].map((character) => CHARACTERS.indexOf(character));
  if (at < 1 || values.length < 8 || values.includes(-1)) return undefined;
  const codes = [...prefix].map((character) => character.charCodeAt(0));
  const expanded = [...codes.map((code) => code >>> 5), 0, ...codes.map((code) => code & 31), ...values];
  if (polymod(expanded) !== CONSTANT) return undefined;
  const [version, ...words] = values.slice(0, -6);
  const data = [];
  let bits = 0;
  let buffer = 0;
  for (const word of words) {
    buffer = (buffer << 5) | word;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      data.push((buffer >>> bits) & 255);
      buffer &= (1 << bits) - 1;
    }
  }
  // What is left is padding: less than a byte, of zeros.
  return bits < 5 && buffer === 0 ? { version, data } : undefined;
}
