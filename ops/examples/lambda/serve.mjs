// Stands in for a function URL on this machine: a request becomes an event, what
// the function returns becomes the response.
import { createServer } from 'node:http';
import { handler } from './dist/index.mjs';

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const event = { headers: request.headers, body: Buffer.concat(chunks).toString('base64'), isBase64Encoded: true };
  const { statusCode, headers, body } = await handler(event);
  response.writeHead(statusCode, headers).end(body);
});
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
