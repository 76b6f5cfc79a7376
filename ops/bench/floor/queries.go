package main

// One hand-written statement per query of the set; each returns one row with one
// column, the JSON of the root field.
const (
	q1 = `SELECT row_to_json(t) FROM (SELECT id, name, email FROM authors WHERE id = $1) t`
	q2 = `SELECT coalesce(json_agg(t), '[]') FROM (SELECT id, title, views FROM articles WHERE views > $1 AND is_published ORDER BY views, id LIMIT 20) t`
	q3 = `SELECT coalesce(json_agg(t), '[]') FROM (SELECT a.id, a.name,
 (SELECT coalesce(json_agg(u), '[]') FROM (SELECT r.id, r.title,
   (SELECT coalesce(json_agg(v), '[]') FROM (SELECT c.id, c.body FROM comments c WHERE c.article_id = r.id ORDER BY c.id LIMIT 3) v) AS comments
   FROM articles r WHERE r.author_id = a.id ORDER BY r.id DESC LIMIT 5) u) AS articles
 FROM authors a WHERE a.id >= $1 ORDER BY a.id LIMIT 10) t`
	q4 = `SELECT coalesce(json_agg(t), '[]') FROM (SELECT r.id, r.title,
 (SELECT coalesce(json_agg(u), '[]') FROM (SELECT
     (SELECT row_to_json(w) FROM (SELECT g.id, g.name FROM tags g WHERE g.id = x.tag_id) w) AS tag
   FROM article_tags x WHERE x.article_id = r.id ORDER BY x.tag_id) u) AS article_tags
 FROM articles r WHERE r.id >= $1 ORDER BY r.id LIMIT 10) t`
	q5 = `SELECT json_build_object('aggregate', json_build_object('count', count(*), 'max', json_build_object('total', max(total)))) FROM orders WHERE user_id = $1 AND status <> 'cancelled'`
	q6 = `SELECT coalesce(json_agg(t), '[]') FROM (SELECT id, status, total, created_at FROM orders WHERE user_id = $1 ORDER BY id DESC LIMIT 20) t`
	q7 = `WITH i AS (INSERT INTO comments (article_id, user_id, body) VALUES ($1, $2, $3) RETURNING id, article_id, body) SELECT row_to_json(i) FROM i`
	q8 = `SELECT coalesce(json_agg(t), '[]') FROM (SELECT id, author_id, title, slug, body, is_published, views, score, published_at, created_at FROM articles WHERE id >= $1 ORDER BY id LIMIT 100) t`
	q9 = `SELECT row_to_json(t) FROM (SELECT id, title, author_id FROM articles WHERE id = $1) t`

	// the data of q8 as plain rows, to be encoded here
	q8rows = `SELECT id, author_id, title, slug, body, is_published, views, score, published_at, created_at FROM articles WHERE id >= $1 ORDER BY id LIMIT 100`
)
