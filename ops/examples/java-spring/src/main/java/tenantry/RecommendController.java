package tenantry;

import com.fasterxml.jackson.core.type.TypeReference;
import java.io.IOException;
import java.io.InputStream;
import java.util.Map;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.http.HttpHeaders;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RestController;

/**
 * Handles the action recommend. A book for a mood. Settings, properties or in the environment:
 *
 * <pre>
 * TENANTRY_SIGNING_SECRET   whsec_…, a signing secret of the project
 * TENANTRY_GRAPHQL_URL      https://…/p/{project}/v1/graphql
 * </pre>
 */
@RestController
public class RecommendController {
    /** Books by mood; the ids are those of the project's table. */
    private static final Map<String, Integer> BOOKS = Map.of("curious", 1, "brave", 2, "tired", 3);

    private final Webhook webhook;

    public RecommendController(@Value("${TENANTRY_SIGNING_SECRET:}") String secret, @Value("${TENANTRY_GRAPHQL_URL:}") String graphql) {
        webhook = new Webhook(secret, graphql);
    }

    private record Book(int id) {}

    // recommend finds a book that the caller may read.
    private Recommend.Recommendation recommend(Recommend.Arguments input, Webhook.Call call) throws Exception {
        Integer id = BOOKS.get(input.mood());
        if (id == null) {
            throw new Webhook.ActionError("no book for this mood", Map.of("code", "unknown-mood"));
        }
        // As the user who called: what that user may not read is not there.
        var data = call.graphql("query ($id: Int!) { books_by_pk(id: $id) { id } }", Map.of("id", id));
        Book book = Webhook.read(data.get("books_by_pk"), new TypeReference<Book>() {});
        if (book == null) {
            throw new Webhook.ActionError("no book that you may read", Map.of("code", "no-book"));
        }
        return new Recommend.Recommendation(book.id());
    }

    @PostMapping("/recommend")
    public ResponseEntity<byte[]> answer(InputStream body, @RequestHeader HttpHeaders headers) throws IOException {
        var answer = webhook.receive(body, headers::getFirst, Recommend.Arguments.class, this::recommend);
        return ResponseEntity.status(answer.status()).contentType(MediaType.APPLICATION_JSON).body(answer.body());
    }
}
