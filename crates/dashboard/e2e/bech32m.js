// Encodes what the page decodes, for the tests.

import { CHARACTERS, polymod } from "../assets/bech32m.js";

export function encode(prefix, version, bytes) {
  const bits = bytes.map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const words = [version, ...bits.match(/.{1,5}/g).map((group) => parseInt(group.padEnd(5, "0"), 2))];
  const codes = [...prefix].map((character) => character.charCodeAt(0));
  const head = [...codes.map((code) => code >>> 5), 0, ...codes.map((code) => code & 31)];
  const check = polymod([...head, ...words, 0, 0, 0, 0, 0, 0]) ^ 0x2bc830a3;
  const sum = Array.from({ length: 6 }, (_, at) => (check >>> (5 * (5 - at))) & 31);
  return `${prefix}1${[...words, ...sum].map((word) => CHARACTERS[word]).join("")}`;
}
