-- One statement, so that all parts show the same moment; its JSON has the form
-- of catalog.Catalog. Everything is qualified: a tenant's search_path decides
-- nothing here. Names are ordered by bytes, whatever the database's collation.
WITH RECURSIVE
relation AS MATERIALIZED (
  SELECT c.oid, n.nspname, c.relname, c.relkind,
         pg_catalog.pg_relation_is_updatable(c.oid, true) AS writes
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND n.nspname NOT LIKE 'pg\_%'
    AND n.nspname NOT IN ('information_schema', 'hdb_catalog')
    AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
),
-- What every type is an array of; int2vector and its like are no arrays.
reference AS (
  SELECT t.oid, coalesce(e.oid, t.oid) AS element, e.oid IS NOT NULL AS is_array
  FROM pg_catalog.pg_type t
  LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
),
attribute AS MATERIALIZED (
  SELECT a.attrelid, a.attnum, a.attname, a.attnotnull, a.attidentity, a.attgenerated, a.atthasdef,
         t.typnotnull, t.typdefault IS NOT NULL AS typhasdef, t.typtype,
         EXISTS (SELECT FROM pg_catalog.pg_collation l WHERE l.oid = a.attcollation AND NOT l.collisdeterministic) AS loose,
         r.element, CASE WHEN r.is_array THEN greatest(a.attndims, 1) ELSE 0 END AS dimensions
  FROM pg_catalog.pg_attribute a
  JOIN relation ON relation.oid = a.attrelid
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  JOIN reference r ON r.oid = t.oid
  WHERE a.attnum > 0 AND NOT a.attisdropped
),
-- Grouped once: a list per table would read all attributes for each.
column_list AS (
  SELECT a.attrelid, pg_catalog.json_agg(pg_catalog.json_build_object(
    'name', a.attname,
    'type', pg_catalog.json_build_object('schema', n.nspname, 'name', t.typname, 'dimensions', a.dimensions),
    'nullable', NOT a.attnotnull AND NOT (a.typtype = 'd' AND a.typnotnull),
    'default', a.atthasdef OR a.attidentity <> '' OR (a.typtype = 'd' AND a.typhasdef),
    -- A view's column that stands for an expression is as little writable.
    'generated', a.attgenerated <> '' OR (relation.relkind = 'v' AND relation.writes <> 0
                 AND NOT pg_catalog.pg_column_is_updatable(relation.oid, a.attnum, true)),
    'identity_always', a.attidentity = 'a',
    'loose', a.loose,
    'comment', coalesce(pg_catalog.col_description(relation.oid, a.attnum), '')
  ) ORDER BY a.attnum) AS items
  FROM attribute a
  JOIN relation ON relation.oid = a.attrelid
  JOIN pg_catalog.pg_type t ON t.oid = a.element
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  GROUP BY a.attrelid
),
-- What a caller of a function gives: a row per argument, at its place.
routine AS MATERIALIZED (
  SELECT p.oid, n.nspname, p.proname, p.provolatile, p.proretset, p.provariadic, p.prorettype, p.pronargs, p.pronargdefaults,
         pg_catalog.oidvectortypes(p.proargtypes) AS signature,
         coalesce(p.proargmodes && '{o,b,t}', false) AS outputs,
         p.proargtypes, p.proargnames, p.proargmodes
  FROM pg_catalog.pg_proc p
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  WHERE p.prokind = 'f'
    AND p.prorettype NOT IN ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype)
    AND n.nspname NOT LIKE 'pg\_%'
    AND n.nspname NOT IN ('information_schema', 'hdb_catalog')
    AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')
),
argument AS MATERIALIZED (
  SELECT routine.oid, i.n, r.element, CASE WHEN r.is_array THEN 1 ELSE 0 END AS dimensions,
         CASE WHEN routine.proargmodes IS NULL THEN routine.proargnames[i.n]
              ELSE (SELECT (pg_catalog.array_agg(routine.proargnames[m.at] ORDER BY m.at))[i.n]
                    FROM pg_catalog.unnest(routine.proargmodes) WITH ORDINALITY m (mode, at)
                    WHERE m.mode IN ('i', 'b', 'v')) END AS name,
         i.n > routine.pronargs - routine.pronargdefaults AS has_default
  FROM routine
  CROSS JOIN LATERAL pg_catalog.unnest(routine.proargtypes::pg_catalog.oid[]) WITH ORDINALITY i (type, n)
  JOIN reference r ON r.oid = i.type
),
argument_list AS (
  SELECT argument.oid, pg_catalog.json_agg(pg_catalog.json_build_object(
    'name', coalesce(argument.name, ''),
    'type', pg_catalog.json_build_object('schema', n.nspname, 'name', t.typname, 'dimensions', argument.dimensions),
    'default', argument.has_default
  ) ORDER BY argument.n) AS items
  FROM argument
  JOIN pg_catalog.pg_type t ON t.oid = argument.element
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  GROUP BY argument.oid
),
used (oid) AS (
  (SELECT element FROM attribute
   UNION SELECT element FROM argument
   UNION SELECT r.element FROM routine JOIN reference r ON r.oid = routine.prorettype)
  UNION
  SELECT r.element
  FROM used
  JOIN pg_catalog.pg_type t ON t.oid = used.oid AND t.typtype = 'd'
  JOIN reference r ON r.oid = t.typbasetype
),
-- How the values of a type compare: by what is its own, or that of a type as
-- which they are read as they are.
reading AS (
  SELECT oid AS source, oid AS target FROM used
  UNION
  SELECT used.oid, k.casttarget FROM used JOIN pg_catalog.pg_cast k ON k.castsource = used.oid AND k.castmethod = 'b' AND k.castcontext = 'i'
),
comparing (source, means) AS MATERIALIZED (
  SELECT reading.source, o.oprname::pg_catalog.text
  FROM reading
  JOIN pg_catalog.pg_operator o ON o.oprleft = reading.target AND o.oprright = reading.target
  WHERE o.oprname IN ('=', '<>', '<', '>')
  UNION
  SELECT reading.source, 'sort'
  FROM reading
  JOIN pg_catalog.pg_opclass k ON k.opcdefault AND k.opcintype = reading.target
  JOIN pg_catalog.pg_am m ON m.oid = k.opcmethod AND m.amname = 'btree'
)
SELECT pg_catalog.json_build_object(
  'version', pg_catalog.current_setting('server_version_num')::int4,
  'extensions', (
    SELECT pg_catalog.json_agg(extname ORDER BY extname COLLATE "C") FROM pg_catalog.pg_extension),
  'tables', (
    SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'schema', relation.nspname,
      'name', relation.relname,
      'kind', CASE relation.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned' WHEN 'f' THEN 'foreign'
                                    WHEN 'v' THEN 'view' ELSE 'materialized' END,
      'comment', coalesce(pg_catalog.obj_description(relation.oid, 'pg_class'), ''),
      'insertable', relation.writes & 8 <> 0,
      'updatable', relation.writes & 4 <> 0,
      'deletable', relation.writes & 16 <> 0,
      'columns', coalesce(column_list.items, '[]'),
      'primary_key', (
        SELECT pg_catalog.json_build_object('name', k.conname, 'columns', (
          SELECT pg_catalog.json_agg(a.attname ORDER BY u.n)
          FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u (attnum, n)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum))
        FROM pg_catalog.pg_constraint k
        WHERE k.conrelid = relation.oid AND k.contype = 'p'),
      'uniques', (
        SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
          'name', coalesce(k.conname, ic.relname),
          'index', k.oid IS NULL,
          'columns', (
            SELECT pg_catalog.json_agg(a.attname ORDER BY u.n)
            FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY u (attnum, n)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum
            WHERE u.n <= i.indnkeyatts)
        ) ORDER BY coalesce(k.conname, ic.relname) COLLATE "C")
        FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
        LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype = 'u'
        WHERE i.indrelid = relation.oid AND i.indisunique AND NOT i.indisprimary AND i.indisvalid
          AND i.indpred IS NULL AND i.indexprs IS NULL),
      'foreign_keys', (
        SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
          'name', k.conname,
          'target', pg_catalog.json_build_object('schema', fn.nspname, 'name', f.relname),
          'columns', (
            SELECT pg_catalog.json_agg(a.attname ORDER BY u.n)
            FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u (attnum, n)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum),
          'targets', (
            SELECT pg_catalog.json_agg(a.attname ORDER BY u.n)
            FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY u (attnum, n)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum)
        ) ORDER BY k.conname COLLATE "C")
        FROM pg_catalog.pg_constraint k
        JOIN pg_catalog.pg_class f ON f.oid = k.confrelid
        JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
        WHERE k.conrelid = relation.oid AND k.contype = 'f'
          -- A key to a partitioned table has a copy per partition.
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint p WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid))
    ) ORDER BY relation.nspname COLLATE "C", relation.relname COLLATE "C"), '[]')
    FROM relation
    LEFT JOIN column_list ON column_list.attrelid = relation.oid),
  'functions', (
    SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'schema', routine.nspname,
      'name', routine.proname,
      'comment', coalesce(pg_catalog.obj_description(routine.oid, 'pg_proc'), ''),
      'volatility', CASE routine.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
      'set', routine.proretset,
      'returns', (
        SELECT pg_catalog.json_build_object('schema', n.nspname, 'name', t.typname, 'dimensions', CASE WHEN r.is_array THEN 1 ELSE 0 END)
        FROM reference r
        JOIN pg_catalog.pg_type t ON t.oid = r.element
        JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
        WHERE r.oid = routine.prorettype),
      'arguments', coalesce(argument_list.items, '[]'),
      'outputs', routine.outputs,
      'variadic', routine.provariadic <> 0
    ) ORDER BY routine.nspname COLLATE "C", routine.proname COLLATE "C", routine.signature COLLATE "C")
    FROM routine
    LEFT JOIN argument_list ON argument_list.oid = routine.oid),
  'types', (
    SELECT coalesce(pg_catalog.json_object_agg(n.nspname || '.' || t.typname, pg_catalog.json_build_object(
      'schema', n.nspname,
      'name', t.typname,
      'kind', CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'c' THEN 'composite'
                             WHEN 'r' THEN 'range' WHEN 'm' THEN 'range' ELSE 'base' END,
      'category', t.typcategory,
      'lacks', CASE WHEN t.typtype = 'b' THEN (
        SELECT pg_catalog.json_agg(w.means ORDER BY w.n)
        FROM pg_catalog.unnest(ARRAY['=', '<>', '<', '>', 'sort']) WITH ORDINALITY w (means, n)
        WHERE NOT EXISTS (SELECT FROM comparing c WHERE c.source = t.oid AND c.means = w.means)) END,
      'values', (
        SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder)
        FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
      'base', CASE WHEN t.typtype = 'd' THEN (
        SELECT pg_catalog.json_build_object('schema', bn.nspname, 'name', b.typname,
                 'dimensions', CASE WHEN r.is_array THEN greatest(t.typndims, 1) ELSE 0 END)
        FROM reference r
        JOIN pg_catalog.pg_type b ON b.oid = r.element
        JOIN pg_catalog.pg_namespace bn ON bn.oid = b.typnamespace
        WHERE r.oid = t.typbasetype) END
    )), '{}')
    FROM used
    JOIN pg_catalog.pg_type t ON t.oid = used.oid
    JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace)
)
