// Does as the event says, like the handlers of the other languages.
async function* pieces(event) {
  yield "one ";
  if (event.breaks) throw new RangeError("midway");
  yield "two";
}

export async function handler(event, context) {
  console.log(`node works on ${event.do}`);
  switch (event.do) {
    case "raise": throw new TypeError("no stock");
    case "exit": process.exit(event.code);
    case "hang": for (;;);
    case "stream": return pieces(event);
    case "context": return { id: context.awsRequestId, left: context.deadlineMs - Date.now() > 0 };
  }
  return event.value;
}
