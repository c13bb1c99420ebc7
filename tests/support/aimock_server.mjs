// npm's @copilotkit/aimock for tests, on a free loopback port; see aimock_server.py. Argument two: [[match, response], ...].
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [, , web, fixtures] = process.argv;
const find = createRequire(`${web}/package.json`);
const { LLMock } = await import(pathToFileURL(find.resolve("@copilotkit/aimock")).href);

const mock = new LLMock({ port: 0, host: "127.0.0.1", logLevel: "silent", strict: true });
for (const [match, response] of JSON.parse(fixtures)) mock.on(match, response);
await mock.start();
console.log(mock.url);
