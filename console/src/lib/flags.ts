// Envoy's response flags in words. Source: Envoy, "access log, command operators, RESPONSE_FLAGS".
const WORDS: Record<string, string> = {
  UH: "no healthy endpoint",
  UF: "no connection to the endpoint",
  UO: "connection pool full (circuit breaker)",
  NR: "no route takes it",
  URX: "given up after the last retry or connection attempt",
  NC: "routed to a subset or host that does not exist",
  DT: "the request or connection was open for too long",
  DC: "the caller went away",
  LH: "the workload failed its health check",
  UT: "no answer within the timeout",
  LR: "reset by this proxy",
  UR: "reset by the other side",
  UC: "the other side ended the connection",
  DI: "delayed on purpose",
  FI: "failed on purpose",
  RL: "over a rate limit",
  UAEX: "denied by the external authorizer",
  RLSE: "the rate limit service failed",
  IH: "a header has a value that is not allowed",
  SI: "idle for too long",
  DPE: "what the caller sent is no HTTP",
  UPE: "what the endpoint answered is no HTTP",
  UMSDR: "took longer than its stream may",
  RFCF: "the response came from a cache",
  NFCF: "not found in a cache",
  DO: "dropped, as the proxy was overloaded",
  OM: "the proxy was overloaded",
  DF: "the host name could not be resolved",
  DR: "the caller reset the request",
  UDO: "dropped by its cluster's overload policy",
};

/** `UF,URX` as the words of each, "" for `-`. Flags without words stay as they are. */
export function flagWords(flags: string): string {
  return flags.split(",").filter((flag) => flag && flag !== "-").map((flag) => WORDS[flag] ?? flag).join("; ");
}
