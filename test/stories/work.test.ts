import { expect, test } from "vitest";
import { actionRequest, resultOf } from "../support/core-values.ts";
import { type Story, tellStory } from "./mesh-story.ts";

/** An ingress with these workers, all linked. */
function mesh(...workers: string[]): Story {
  const story = tellStory(workers);
  story.pass(0);
  for (const worker of workers) story.link("ingress", worker);
  return story;
}

test("the first claim wins and the others let go", async () => {
  const story = mesh("ann", "bob");
  story.submit("ingress", "client-1", actionRequest("compile"));
  story.finish(story.text().includes("ann runs") ? "ann" : "bob", resultOf("compile"));
  await expect(story.text()).toMatchFileSnapshot("first-claim-wins.txt");
});

test("two equal actions are one, and both waiters get its result", async () => {
  const story = mesh("ann");
  story.submit("ingress", "client-1", actionRequest("compile"));
  story.submit("ingress", "client-2", actionRequest("compile"));
  story.finish("ann", resultOf("compile"));
  await expect(story.text()).toMatchFileSnapshot("two-are-one.txt");
});

test("a worker dies in mid-action and another makes it again", async () => {
  const story = mesh("ann", "bob");
  story.submit("ingress", "client-1", actionRequest("compile"));
  const first = story.text().includes("ann runs") ? "ann" : "bob";
  story.kill(first);
  story.pass(1000);
  story.finish(first === "ann" ? "bob" : "ann", resultOf("compile"));
  await expect(story.text()).toMatchFileSnapshot("worker-dies.txt");
});

test("an idle worker of another host takes what waits behind a busy one", async () => {
  const story = tellStory(["ann", "bob"], { ann: "ingress", bob: "garage" });
  story.pass(0);
  for (const worker of ["ann", "bob"]) story.link("ingress", worker);
  story.submit("ingress", "client-1", actionRequest("compile"));
  story.pass(100);
  story.submit("ingress", "client-2", actionRequest("link"));
  story.finish("bob", resultOf("link"));
  story.pass(100);
  story.finish("ann", resultOf("compile"));
  story.pass(60_000);
  await expect(story.text()).toMatchFileSnapshot("idle-worker-steals.txt");
});

test("a platform that nobody has is refused at once, with what there is", async () => {
  const story = mesh("ann");
  story.submit("ingress", "client-1", {
    ...actionRequest("compile"),
    properties: { OSFamily: "plan9" },
  });
  await expect(story.text()).toMatchFileSnapshot("no-such-platform.txt");
});
