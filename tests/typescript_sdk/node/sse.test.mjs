import assert from "node:assert/strict";
import { test } from "node:test";
import { EventParser, carried, eventText, sdk } from "./sdk.mjs";

const parse = (pieces, limit = 1000) => {
  const parser = new EventParser(limit);
  return [...pieces.flatMap((piece) => parser.feed(piece)), ...parser.finish()];
};
const message = (data) => ({ name: "message", data });

const STREAMS = [
  ["data: x\n\n", [message("x")]],
  ["data:x\r\n\r\n", [message("x")]],
  ["data: x\r\rdata: y\r\r", [message("x"), message("y")]],
  [": comment\nid: 1\nretry: 5\ndata: a\ndata: b\n\n", [message("a\nb")]],
  ["event: tick\ndata:  x\n\ndata: y\n\n", [{ name: "tick", data: " x" }, message("y")]],
  ["event: tick\n\ndata\n\ndata: cut off\n", []],
  ['unknown: x\ndata: {"a":"é😀"}\n\n\n\n', [message('{"a":"é😀"}')]],
];

for (const [text, events] of STREAMS) {
  test(`parses ${JSON.stringify(text)} whole and in pieces`, () => {
    assert.deepEqual(parse([text]), events);
    assert.deepEqual(parse([...text]), events);
    for (let at = 0; at <= text.length; at++) assert.deepEqual(parse([text.slice(0, at), text.slice(at)]), events);
  });
}

test("an event beyond the limit is refused, however it comes", () => {
  assert.throws(() => parse(["data: " + "x".repeat(2000)]), sdk.TransportError);
  assert.throws(() => parse(Array(2000).fill("data: x\n")), sdk.TransportError);
  assert.equal(parse(Array(2000).fill("data: x\n\n")).length, 2000);
});

const CARRIED = [
  [message('{"jsonrpc":"2.0"}'), { kind: "message", value: { jsonrpc: "2.0" } }],
  [message('{"a":1}'), { kind: "event", value: { a: 1 } }],
  [message("5"), { kind: "event", value: 5 }],
  [
    { name: "tick", data: '{"jsonrpc":1}' },
    { kind: "event", value: { event: "tick", data: { jsonrpc: 1 } } },
  ],
  [{ name: "ping", data: "not json" }, { kind: "noise" }],
];

for (const [event, content] of CARRIED) {
  test(`${event.name} ${event.data} carries ${content.kind}`, () => assert.deepEqual(carried(event), content));
}

const EVENTS = [
  { event: "tick", data: 1 },
  { event: "tick", data: null },
  { event: "message", data: 1 },
  { event: "", data: 1 },
  { event: "two\nlines", data: 1 },
  { event: " leading", data: "x\r\ny" },
  { event: "tick", data: 1, more: 2 },
  { event: "tick" },
  [1, "\u2028"],
  12345678901234567890n,
];

for (const event of EVENTS) {
  test(`event ${String(JSON.stringify(event, (_, each) => (typeof each === "bigint" ? String(each) : each)))} arrives as it was sent`, () => {
    const [received, ...more] = parse([eventText(event)]);
    assert.deepEqual(carried(received), { kind: "event", value: event });
    assert.deepEqual(more, []);
  });
}

test("an event of name and data uses the stream's own name", () => {
  assert.equal(eventText({ event: "tick", data: { n: 1 } }), 'event: tick\ndata: {"n":1}\n\n');
});
