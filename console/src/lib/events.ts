// Server-sent events over fetch, because EventSource cannot send a token.

export interface ServerEvent { name: string; data: string }

/** The complete events of a text, and the rest that is yet to be completed. */
export function splitEvents(text: string): [ServerEvent[], string] {
  const parts = text.replaceAll("\r\n", "\n").split("\n\n");
  const rest = parts.pop() ?? "";
  const events: ServerEvent[] = [];
  for (const part of parts) {
    const event = { name: "message", data: "" };
    const data: string[] = [];
    for (const line of part.split("\n")) {
      if (line.startsWith("event:")) event.name = line.slice(6).trim();
      else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    }
    if (data.length) events.push({ ...event, data: data.join("\n") });
  }
  return [events, rest];
}

/** Read a stream until it ends. Throws when it cannot be opened. */
export async function readEvents(
  path: string, headers: Record<string, string>, onEvent: (event: ServerEvent) => void, signal: AbortSignal,
): Promise<void> {
  const response = await fetch(path, { headers: { ...headers, Accept: "text/event-stream" }, signal });
  if (!response.ok || !response.body) throw new Error(`${response.status}`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const [events, rest] = splitEvents(pending + value);
    pending = rest;
    events.forEach(onEvent);
  }
}
