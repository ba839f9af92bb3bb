// The dashboard: a page that follows one node and shows what it knows of the mesh.

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Actions } from "./actions.tsx";
import { Builds } from "./builds.tsx";
import { Cache } from "./cache.tsx";
import { follow, type Seen } from "./follow.ts";
import { Logs } from "./log.tsx";
import { Nodes } from "./nodes.tsx";
import { Overview } from "./overview.tsx";
import { Scaling } from "./scaling.tsx";
import { name } from "./text.ts";

const views = {
  overview: ["Overview", Overview],
  nodes: ["Nodes", Nodes],
  actions: ["Actions", Actions],
  builds: ["Builds", Builds],
  cache: ["Cache", Cache],
  scaling: ["Scaling", Scaling],
  log: ["Log", Logs],
} as const;
type View = keyof typeof views;

function viewOfAddress(): View {
  const wanted = location.hash.slice(1);
  return Object.hasOwn(views, wanted) ? (wanted as View) : "overview";
}

function Page() {
  const [seen, setSeen] = useState<Seen>({ connected: false });
  const [view, setView] = useState(viewOfAddress);
  useEffect(() => follow(setSeen), []);
  useEffect(() => {
    const change = () => setView(viewOfAddress());
    addEventListener("hashchange", change);
    return () => removeEventListener("hashchange", change);
  }, []);
  const [, Shown] = views[view];
  const self = seen.status?.members.find(({ peer }) => peer === seen.status?.peer);
  return (
    <>
      <a class="skip" href="#main">
        Skip to what is shown
      </a>
      <header>
        <h1>Builder</h1>
        <p>
          <bdi>{name(self?.name ?? "")}</bdi>{" "}
          <span role="status" class={seen.connected ? "good" : "bad"}>
            {seen.connected ? "● live" : "○ not connected"}
          </span>
        </p>
        <nav aria-label="Views">
          {Object.entries(views).map(([key, [label]]) => (
            <a key={key} href={`#${key}`} aria-current={key === view ? "page" : undefined}>
              {label}
            </a>
          ))}
        </nav>
      </header>
      <main id="main" tabIndex={-1}>
        <Shown {...seen} />
      </main>
    </>
  );
}

const place = document.getElementById("page");
if (place !== null) render(<Page />, place);
