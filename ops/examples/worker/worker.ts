// Handles the action recommend. Settings, in the environment:
//   TENANTRY_SIGNING_SECRET   whsec_…, a signing secret of the project
//   TENANTRY_GRAPHQL_URL      https://…/p/{project}/v1/graphql
import { ActionError, receive, type Call, type Settings } from './tenantry/webhook.ts';
import type { Arguments, Output } from './tenantry/actions/recommend.ts';

/** Books by mood; the ids are those of the project's table. */
const books: Record<string, number | undefined> = { curious: 1, brave: 2, tired: 3 };

// recommend finds a book that the caller may read.
async function recommend(input: Arguments, call: Call): Promise<Output> {
  const id = books[input.mood];
  if (!id) throw new ActionError('no book for this mood', { code: 'unknown-mood' });
  // As the user who called: what that user may not read is not there.
  const { books_by_pk: book } = await call.graphql<{ books_by_pk: { id: number } | null }>(
    'query ($id: Int!) { books_by_pk(id: $id) { id } }', { id },
  );
  if (!book) throw new ActionError('no book that you may read', { code: 'no-book' });
  return { book_id: book.id };
}

// Cloudflare Workers hand the settings over, Deno and Bun have them in the environment.
const { process } = globalThis as { process?: { env: Settings } };

export default {
  async fetch(request: Request, env?: Settings): Promise<Response> {
    const settings = env?.TENANTRY_SIGNING_SECRET ? env : (process?.env ?? {});
    const answer = await receive(await request.text(), (name) => request.headers.get(name), settings, recommend);
    return new Response(answer.body, { status: answer.status, headers: { 'content-type': 'application/json' } });
  },
};
