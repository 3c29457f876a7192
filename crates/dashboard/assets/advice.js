// What to do about a problem: by words of its sentence in `/health` that do not change. The list follows the table in
// docs/troubleshooting.md, the most special first.

const KNOWN = [
  [/^the (replay of the )?webhook /, "webhook"],
  [/^webhooks\.json/, "disk"],
  [/mesh\.peers/, "peers"],
  [/refuses the credentials/, "credentials"],
  [/is a node of the chain/, "wrongChain"],
  [/cannot parse/, "notANode"],
  [/is not ready|is synchronising/, "waitNode"],
  [/catching up/, "waitRelay"],
  [/has not answered yet|does not answer|cannot be reached at|connection refused/i, "startNode"],
  [/bitcoin_core\.zmq_url.*cannot be reached/, "zmqAddress"],
  [/bitcoin_core\.zmq_url|zmq/i, "zmqTopics"],
  [/bitcoin_core\.wallet/, "wallet"],
  [/events cannot be written/, "disk"],
  [/cannot be restored from the node/, "prunedBlock"],
  [/index is damaged|was damaged/, "damaged"],
  [/tweak index is being built|being rebuilt/, "waitIndex"],
  [/tweak index .*cannot continue/, "indexStopped"],
  [/Oracle/, "oracle"],
  [/restart was abandoned/, "restart"],
  [/process is exiting/, "exiting"],
];

export function adviceOn(problem) {
  const known = KNOWN.find(([words]) => words.test(problem));
  return known ? known[1] : "other";
}
