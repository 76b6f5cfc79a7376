// Handles the action recommend. Settings, in the environment:
//   TENANTRY_SIGNING_SECRET   whsec_…, a signing secret of the project
//   TENANTRY_GRAPHQL_URL      https://…/p/{project}/v1/graphql
import type { NextApiRequest, NextApiResponse } from 'next';
import { ActionError, receive, type Call } from '../../tenantry/webhook';
import type { Arguments, Output } from '../../tenantry/actions/recommend';

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

// The signature is of the text that was sent: nothing may parse it before.
export const config = { api: { bodyParser: false } };

const maxBody = 4 << 20;

export default async function handler(request: NextApiRequest, response: NextApiResponse): Promise<void> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size <= maxBody) chunks.push(chunk);
  }
  if (size > maxBody) {
    response.status(413).end();
    return;
  }
  const header = (name: string) => request.headers[name]?.toString();
  const answer = await receive(Buffer.concat(chunks).toString(), header, process.env, recommend);
  response.status(answer.status).setHeader('content-type', 'application/json').end(answer.body);
}
