// Serves the worker on this machine with workerd, the runtime of Cloudflare
// Workers. Deno and Bun serve worker.ts without it.
import { Miniflare } from 'miniflare';

const worker = new Miniflare({
  modules: true,
  scriptPath: 'dist/worker.js',
  compatibilityDate: '2025-06-01',
  host: '127.0.0.1',
  port: Number(process.env.PORT ?? 3000),
  cf: false,
  bindings: {
    TENANTRY_SIGNING_SECRET: process.env.TENANTRY_SIGNING_SECRET,
    TENANTRY_GRAPHQL_URL: process.env.TENANTRY_GRAPHQL_URL,
  },
});
await worker.ready;
