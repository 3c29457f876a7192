// The stages of an event on its way through the relay, in their order.

export const STAGES = ["node", "detect", "log", "client"];

// The stages of the commit that has this event.
export function timingOf(s, id) {
  return s.timings && id ? s.timings.events.find((e) => e.first_event_id <= id && id <= e.last_event_id) : undefined;
}
