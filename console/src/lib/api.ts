// Calls of the admin API. Over TCP it asks for a token, which stays in this tab only.
import type { ApplyReport, Key, Manifest } from "./types";

export class ApiProblem extends Error {
  constructor(readonly status: number, message: string, readonly hint = "") {
    super(message);
  }
}

const TOKEN = "clew-token";

export function signIn(token: string): void {
  sessionStorage.setItem(TOKEN, token.trim());
}

export function authorization(): Record<string, string> {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

export async function ask<T>(path: string, options: RequestInit = {}): Promise<T> {
  const response = await reach(path, options);
  if (response.ok || response.status === 422) return (await response.json()) as T;
  throw await problemOf(response);
}

/** What comes for as long as it lasts. */
export async function openStream(path: string, signal: AbortSignal): Promise<ReadableStream<BufferSource>> {
  const response = await reach(path, { signal });
  if (response.ok && response.body) return response.body as ReadableStream<BufferSource>;
  throw await problemOf(response);
}

async function reach(path: string, options: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { cache: "no-store", ...options, headers: { Accept: "application/json", ...authorization(), ...options.headers } });
  } catch {
    throw new ApiProblem(0, "The control plane cannot be reached", "Is `clew dashboard` still running?");
  }
}

async function problemOf(response: Response): Promise<ApiProblem> {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text);
    return new ApiProblem(response.status, error.message, error.hint);
  } catch {
    return new ApiProblem(response.status, text.trim() || response.statusText);
  }
}

export function objectPath(key: Key): string {
  const parts = [key.group || "core", key.kind, key.namespace || "_", key.name];
  return "/v1/objects/" + parts.map(encodeURIComponent).join("/");
}

/** What the mesh says of a YAML text; nothing changes. */
export function validate(text: string, namespace: string, signal?: AbortSignal): Promise<ApplyReport> {
  return apply(text, namespace, true, signal);
}

export function apply(text: string, namespace: string, dryRun = false, signal?: AbortSignal): Promise<ApplyReport> {
  const query = new URLSearchParams({ namespace, ...(dryRun ? { dryRun: "true" } : {}) });
  return ask(`/v1/apply?${query}`, { method: "POST", body: text, signal });
}

export function remove(key: Key): Promise<unknown> {
  return ask(objectPath(key), { method: "DELETE" });
}

export function rollback(key: Key, revision: number): Promise<{ result: string; error: string }> {
  return ask(`${objectPath(key)}/rollback?revision=${revision}`, { method: "POST" });
}

export function keyOf(manifest: Manifest): Key {
  const slash = manifest.apiVersion.lastIndexOf("/");
  return {
    group: slash < 0 ? "" : manifest.apiVersion.slice(0, slash),
    kind: manifest.kind,
    namespace: manifest.metadata.namespace ?? "",
    name: manifest.metadata.name,
  };
}
