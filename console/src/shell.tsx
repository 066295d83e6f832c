// What is around every view: navigation, where one is, search, theme, and whether it is live.
import { useEffect, useRef, useState } from "preact/hooks";
import { signIn } from "./lib/api";
import { useConnected, useOverview } from "./lib/live";
import { go, onLink, useAsked, useUrl } from "./lib/router";
import { shortHost } from "./lib/words";
import { Icon } from "./ui/icons";
import { Palette } from "./ui/palette";
import { Dialog, Empty, Head, Notice, Toasts } from "./ui/parts";
import { PAGES, VIEWS } from "./views";

const TASKS: Record<string, string> = { shift: "Shift traffic", route: "Route requests", fault: "Inject faults", resilience: "Timeouts and retries" };

export function Shell() {
  const url = useUrl();
  const [open, setOpen] = useState<"" | "palette" | "help">("");
  const [asked, stay] = useAsked();
  const [theme, setTheme] = useState(() => localStorage.getItem("clew-theme") ?? "");
  const main = useRef<HTMLElement>(null);
  const connected = useConnected();
  const { data: overview, problem } = useOverview();
  useEffect(() => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    theme ? localStorage.setItem("clew-theme", theme) : localStorage.removeItem("clew-theme");
  }, [theme]);
  useKeys(setOpen);
  useTicks();
  const view = VIEWS.find((each) => url.pathname === each.path || (each.path !== "/" && url.pathname.startsWith(each.path + "/")));
  const page = PAGES.map(([pattern, Component, names]) => ({ found: pattern.exec(url.pathname), Component, names })).find((each) => each.found);
  const parts = (page?.found?.slice(1) ?? []).map(decodeURIComponent);
  const crumbs = page?.names(parts).map((name) => TASKS[name] ?? shortHost(name)) ?? [];
  const title = [crumbs.at(-1), view?.title].filter(Boolean).join(" · ");
  useEffect(() => { document.title = `${title || "Not found"} · clew`; }, [title]);
  const shown = useRef(url.pathname);
  useEffect(() => {
    // A page that was just loaded is read from its top, where the link is that skips to the content.
    if (shown.current !== url.pathname && document.activeElement === document.body) main.current?.focus({ preventScroll: true });
    shown.current = url.pathname;
  }, [url.pathname]);
  if (problem?.status === 401) return <SignIn text={problem.message} />;
  const wrong = overview?.troubles ?? [];
  const worst = wrong.some((each) => each.severity === "error") ? "" : "warn";
  const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  return (
    <div class="shell" onClick={onLink}>
      <a class="skip" href="#main">Skip to the content</a>
      <nav class="side" aria-label="Views">
        <a class="brand" href="/"><Icon name="thread" size={22} />clew</a>
        {VIEWS.map((each) => (
          <a class="nav" href={each.path} aria-current={each === view ? "page" : undefined}>
            <Icon name={each.icon} size={18} /><span class={each.short && "hide-small"}>{each.title}</span>{each.short && <span class="show-small">{each.short}</span>}
            {each.path === "/" && wrong.length > 0 && <span class={`badge ${worst}`} aria-label={`${wrong.length} problems`}>{wrong.length}</span>}
          </a>
        ))}
        <div class="grow" />
      </nav>
      <div>
        <header class="top">
          <nav aria-label="Where you are" class="crumbs"><ol class="crumbs">
            {view && <li>{crumbs.length ? <a href={view.path}>{view.title}</a> : view.title}</li>}
            {crumbs.map((name, index) => {
              const last = index === crumbs.length - 1;
              return <li aria-current={last ? "page" : undefined}>{last ? <span class="wrap">{name}</span> : <a href={url.pathname.split("/").slice(0, 4).join("/")}>{name}</a>}</li>;
            })}
          </ol></nav>
          <span class={`live ${connected ? "" : "off"}`} role="status"><span>{connected ? "live" : "connecting"}</span></span>
          <button class="btn searchbtn" type="button" onClick={() => setOpen("palette")} aria-label="Search" aria-keyshortcuts="Control+K">
            <Icon name="search" /><span>Go to…</span><kbd>Ctrl K</kbd></button>
          <button class="btn quiet" type="button" onClick={() => setTheme(dark ? "light" : "dark")} aria-label={dark ? "Use light colours" : "Use dark colours"}>
            <Icon name={dark ? "sun" : "moon"} /></button>
        </header>
        <main id="main" ref={main} tabIndex={-1}>
          {!connected && overview && <div class="stack" style={{ marginBottom: "16px" }}><Notice tone="warn">
            The control plane does not answer; what you see is as it was. Proxies go on with what they have.</Notice></div>}
          {page ? <page.Component key={url.pathname} parts={parts} url={url} />
            : <><Head title="There is nothing at this address" /><Empty><a class="link" href="/">Go to the overview</a></Empty></>}
        </main>
      </div>
      {open === "palette" && <Palette onClose={() => setOpen("")} />}
      {open === "help" && <Help onClose={() => setOpen("")} />}
      {asked && <Leave to={asked} onClose={stay} />}
      <Toasts />
    </div>
  );
}

/** `Ctrl K` and `/` search, `g` and a letter goes to a view, `?` helps. */
function useKeys(open: (what: "palette" | "help") => void): void {
  useEffect(() => {
    let after = 0;
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        open("palette");
        return;
      }
      const target = event.composedPath()[0] as HTMLElement;
      const typing = target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
      if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      const view = Date.now() - after < 1500 ? VIEWS.find((each) => each.key === event.key) : undefined;
      after = event.key === "g" ? Date.now() : 0;
      if (view) go(view.path);
      else if (event.key === "/") { event.preventDefault(); open("palette"); }
      else if (event.key === "?") open("help");
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

/** Ages grow while nothing else happens. */
function useTicks(): void {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((before) => before + 1), 10_000);
    return () => clearInterval(timer);
  }, []);
}

function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keys" onClose={onClose} footer={<button class="btn" type="button" onClick={onClose}>Close</button>}>
      <dl class="facts">
        <dt><kbd>Ctrl K</kbd> or <kbd>/</kbd></dt><dd>Go to a service, object, proxy or view</dd>
        {VIEWS.map((view) => <><dt><kbd>g</kbd> <kbd>{view.key}</kbd></dt><dd>{view.title}</dd></>)}
        <dt><kbd>Ctrl Space</kbd></dt><dd>In the editor: what may be written here</dd>
        <dt><kbd>Esc</kbd> <kbd>Tab</kbd></dt><dd>Leave the editor</dd>
        <dt><kbd>Esc</kbd></dt><dd>Close what is open</dd>
      </dl>
    </Dialog>
  );
}

function Leave({ to, onClose }: { to: string; onClose: () => void }) {
  return (
    <Dialog title="Leave without applying your change?" onClose={onClose} footer={<>
      <button class="btn" type="button" onClick={onClose}>Stay</button>
      <button class="btn danger" type="button" onClick={() => { onClose(); go(to, { sure: true }); }}>Leave</button></>}>
      <p>What you typed has not been applied, and would be lost.</p>
    </Dialog>
  );
}

function SignIn({ text }: { text: string }) {
  const [token, setToken] = useState("");
  return (
    <main class="stack" style={{ maxWidth: "520px", margin: "12vh auto" }}>
      <h1>Who are you?</h1>
      <Notice tone="info">{text}</Notice>
      <form class="actions" onSubmit={(event) => { event.preventDefault(); signIn(token); location.reload(); }}>
        <label class="field" style={{ flex: 1 }}>A token of this mesh
          <input type="password" autocomplete="off" value={token} onInput={(event) => setToken(event.currentTarget.value)} /></label>
        <button class="btn primary" type="submit" disabled={!token}>Sign in</button>
      </form>
    </main>
  );
}
