// Handles the action recommend. Settings, in the environment:
//   TENANTRY_SIGNING_SECRET   whsec_…, a signing secret of the project
//   TENANTRY_GRAPHQL_URL      https://…/p/{project}/v1/graphql
import express from 'express';
import { ActionError, receive, type Call } from './tenantry/webhook.ts';
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

const app = express();
// The signature is of the text that was sent: nothing may parse it before.
app.post('/recommend', express.text({ type: '*/*', limit: '4mb' }), async (request, response) => {
  const answer = await receive(request.body, (name) => request.get(name), process.env, recommend);
  response.status(answer.status).type('json').send(answer.body);
});
app.listen(Number(process.env.PORT ?? 3000));
