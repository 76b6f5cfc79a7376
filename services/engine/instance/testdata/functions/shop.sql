CREATE TABLE authors (id int4 PRIMARY KEY, first text NOT NULL, last text, score int4 NOT NULL DEFAULT 0, seen_by text);
CREATE TABLE articles (id int4 PRIMARY KEY, author_id int4 NOT NULL REFERENCES authors, title text NOT NULL, published bool NOT NULL DEFAULT true);
CREATE FUNCTION search_authors(search text, low int4 DEFAULT 0, most int4 DEFAULT 1000) RETURNS SETOF authors LANGUAGE sql STABLE AS
$$ SELECT * FROM authors WHERE first ILIKE '%' || search || '%' AND score BETWEEN low AND most ORDER BY id $$;
CREATE FUNCTION best_author() RETURNS authors LANGUAGE sql STABLE AS $$ SELECT * FROM authors ORDER BY score DESC, id LIMIT 1 $$;
CREATE FUNCTION no_author(IN hidden text DEFAULT '') RETURNS authors LANGUAGE sql STABLE AS $$ SELECT * FROM authors WHERE false $$;
CREATE FUNCTION whoami(hasura_session json, json) RETURNS SETOF authors LANGUAGE sql STABLE AS
$$ SELECT id, first, last, score, hasura_session->>'x-hasura-user-id' || ' ' || ($2->>'note') FROM authors WHERE id = 1 $$;
CREATE FUNCTION add_score(hasura_session jsonb, search text, increment int4 DEFAULT 1) RETURNS SETOF authors LANGUAGE sql VOLATILE AS
$$ UPDATE authors SET score = score + increment, seen_by = hasura_session->>'x-hasura-role' WHERE first ILIKE search RETURNING * $$;
COMMENT ON FUNCTION add_score IS 'adds to the score';
CREATE FUNCTION write_article(author int4, title text) RETURNS authors LANGUAGE plpgsql VOLATILE AS
$$ DECLARE a authors; BEGIN INSERT INTO articles VALUES ((SELECT max(id) + 1 FROM articles), author, title); SELECT * INTO a FROM authors WHERE id = author; RETURN a; END $$;
CREATE FUNCTION peek() RETURNS SETOF authors LANGUAGE sql VOLATILE AS $$ SELECT * FROM authors ORDER BY id $$;
CREATE FUNCTION full_name(authors) RETURNS text LANGUAGE sql STABLE AS $$ SELECT concat_ws(' ', $1.first, $1.last) $$;
CREATE FUNCTION greeting(word text, a authors, hasura_session json, punctuation text DEFAULT '!') RETURNS text LANGUAGE sql STABLE AS
$$ SELECT word || ', ' || a.first || punctuation || coalesce(hasura_session->>'x-hasura-role', '?') $$;
CREATE FUNCTION is_own(a authors, hasura_session json) RETURNS bool LANGUAGE sql STABLE AS $$ SELECT a.id = (hasura_session->>'x-hasura-user-id')::int4 $$;
CREATE FUNCTION author_details(a authors) RETURNS jsonb LANGUAGE sql STABLE AS $$ SELECT jsonb_build_object('name', a.first, 'list', jsonb_build_array(a.id, a.score)) $$;
CREATE FUNCTION find_articles(search text, a authors) RETURNS SETOF articles LANGUAGE sql STABLE AS
$$ SELECT * FROM articles WHERE author_id = a.id AND title ILIKE '%' || search || '%' $$;
CREATE FUNCTION own_articles(a authors) RETURNS SETOF articles LANGUAGE sql STABLE AS $$ SELECT * FROM articles WHERE author_id = a.id $$;
