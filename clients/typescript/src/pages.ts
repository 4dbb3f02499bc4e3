import type { CallOptions } from "@connectrpc/connect";

interface PagedRequest {
  pageToken?: string;
  skip?: number;
  countTotal?: boolean;
}

interface Page {
  nextPageToken: string;
}

/**
 * Every item of a list, page by page.
 *
 * @param list - A list method, such as `balance.accounts.listEntries`.
 * @param request - Its request; its pageToken is where the list starts, and its skip is how many
 *   items are left out there.
 * @param items - Takes the items out of an answer.
 * @param options - Of each call.
 */
export async function* each<Request extends PagedRequest, Answer extends Page, Item>(
  list: (request: Request, options?: CallOptions) => Promise<Answer>,
  request: Request,
  items: (page: Answer) => Iterable<Item>,
  options?: CallOptions,
): AsyncGenerator<Item, void, undefined> {
  let next = request;
  for (;;) {
    const page = await list(next, options);
    yield* items(page);
    if (page.nextPageToken === "") {
      return;
    }
    // The last two are for the first page: each of the others would skip and count again.
    next = { ...request, pageToken: page.nextPageToken, skip: 0, countTotal: false };
  }
}
