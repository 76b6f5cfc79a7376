# Handles the action recommend. Settings, in the environment:
#   TENANTRY_SIGNING_SECRET   whsec_…, a signing secret of the project
#   TENANTRY_GRAPHQL_URL      https://…/p/{project}/v1/graphql
from flask import Flask, jsonify, request

from tenantry.actions.recommend import Arguments, Output
from tenantry.webhook import ActionError, Call, receive


# Books by mood; the ids are those of the project's table.
BOOKS = {"curious": 1, "brave": 2, "tired": 3}


def recommend(input: Arguments, call: Call) -> Output:
    """Finds a book that the caller may read."""
    id = BOOKS.get(input["mood"])
    if not id:
        raise ActionError("no book for this mood", {"code": "unknown-mood"})
    # As the user who called: what that user may not read is not there.
    data = call.graphql("query ($id: Int!) { books_by_pk(id: $id) { id } }", {"id": id})
    if not data["books_by_pk"]:
        raise ActionError("no book that you may read", {"code": "no-book"})
    return {"book_id": id}


app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 4 << 20  # bytes


@app.post("/recommend")
def answer():
    status, output = receive(request.get_data(), request.headers, recommend)
    return jsonify(output), status
