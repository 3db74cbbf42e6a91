-- The history of one row.

-- Where a row goes when its key changes: of the key asked for all records; from one that changed another key into this
-- one, back along that row to the record that began the other key's life, and so on; likewise on from one that changed
-- this key into another.  The records of a key are read once, and none is walked twice in one direction, or a key that
-- goes to and fro would cost the square of it.
CREATE FUNCTION authz.walk_trail(of_trail bigint, asked jsonb) RETURNS TABLE (key jsonb, ids bigint[])
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- The keys that were read, and where their records are below, in order: the id; whether it begins (true) or ends
	-- (false) a life of the key; the other key if it changed it; in which directions it was walked.
	keys jsonb[] := '{}';
	firsts int[] := '{}';
	lasts int[] := '{}';
	event_ids bigint[] := '{}';
	begins boolean[] := '{}';
	others jsonb[] := '{}';
	walked_back boolean[] := '{}';
	walked_on boolean[] := '{}';
	n int := 0;
	-- Still to be walked: -1 back or 1 on, along which key, from which record.
	directions int[] := '{}';
	next_keys jsonb[] := '{}';
	next_ids bigint[] := '{}';
	starts int := 0;
	found_key int[] := '{}';
	found_id bigint[] := '{}';
	founds int := 0;
	direction int;
	this_key jsonb := asked;
	this_id bigint;
	change record;
	transaction xid8;
	k int;
	i int;
	high int;
BEGIN
	LOOP
		k := array_position(keys, this_key);
		IF k IS NULL THEN
			k := cardinality(keys) + 1;
			keys[k] := this_key;
			firsts[k] := n + 1;
			FOR change IN
				SELECT l.id, l.transaction_id, nullif(l.old_key, l.key) AS other,
					CASE WHEN l.action = 'insert' OR l.old_key <> l.key THEN true WHEN l.action = 'delete' THEN false END AS is_begin
				FROM authz.audit_log l
				WHERE l.trail = of_trail AND authz.audit_key_order(l.key) = authz.audit_key_order(this_key) AND l.key = this_key
				UNION ALL
				SELECT l.id, l.transaction_id, l.key, false FROM authz.audit_log l
				WHERE l.trail = of_trail AND authz.audit_key_order(l.old_key) = authz.audit_key_order(this_key) AND l.old_key = this_key
					AND l.old_key IS NOT NULL AND l.old_key <> l.key
				ORDER BY 1
			LOOP
				n := n + 1;
				event_ids[n] := change.id;
				begins[n] := change.is_begin;
				others[n] := change.other;
				-- One statement gave the key to a row before it took it from another (it is deferrable): the other way round.
				IF n - 2 >= firsts[k] AND begins[n - 2] IS DISTINCT FROM false AND begins[n - 1] AND others[n - 1] IS NOT NULL
					AND NOT change.is_begin AND transaction = change.transaction_id THEN
					event_ids[n - 1:n] := ARRAY[change.id, event_ids[n - 1]];
					begins[n - 1:n] := '{false,true}';
					others[n - 1:n] := ARRAY[change.other, others[n - 1]];
				END IF;
				transaction := change.transaction_id;
			END LOOP;
			lasts[k] := n;
		END IF;
		IF direction IS NULL THEN
			FOR i IN 1..n LOOP
				IF others[i] IS NOT NULL THEN
					starts := starts + 1;
					directions[starts] := CASE WHEN begins[i] THEN -1 ELSE 1 END;
					next_keys[starts] := others[i];
					next_ids[starts] := event_ids[i];
				END IF;
			END LOOP;
		ELSE
			-- Two neighbours may be in the wrong order.
			i := firsts[k];
			high := lasts[k];
			WHILE i < high LOOP
				IF event_ids[(i + high) / 2] < this_id THEN i := (i + high) / 2 + 1; ELSE high := (i + high) / 2; END IF;
			END LOOP;
			i := greatest(i - 2, firsts[k]);
			WHILE event_ids[i] <> this_id LOOP i := i + 1; END LOOP;
			IF direction = 1 THEN
				founds := founds + 1;
				found_key[founds] := k;
				found_id[founds] := this_id;
			END IF;
			LOOP
				i := i + direction;
				-- An earlier life of the key, or a later one: other rows.
				EXIT WHEN i < firsts[k] OR i > lasts[k] OR begins[i] = (direction = 1);
				IF direction = 1 THEN
					EXIT WHEN walked_on[i];
					walked_on[i] := true;
				ELSE
					EXIT WHEN walked_back[i];
					walked_back[i] := true;
				END IF;
				founds := founds + 1;
				found_key[founds] := k;
				found_id[founds] := event_ids[i];
				IF begins[i] = (direction = -1) THEN
					IF others[i] <> asked THEN
						starts := starts + 1;
						directions[starts] := direction;
						next_keys[starts] := others[i];
						next_ids[starts] := event_ids[i];
					END IF;
					EXIT;
				END IF;
			END LOOP;
		END IF;
		EXIT WHEN starts = 0;
		direction := directions[starts];
		this_key := next_keys[starts];
		this_id := next_ids[starts];
		starts := starts - 1;
	END LOOP;
	RETURN QUERY SELECT asked, NULL::bigint[]
		UNION ALL SELECT keys[f.k], array_agg(f.id) FROM unnest(found_key, found_id) f(k, id) GROUP BY f.k;
END
$$;
COMMENT ON FUNCTION authz.walk_trail(bigint, jsonb) IS
	'keys under which the row with this one went, and the records of theirs that are about it (NULL: all)';

-- The key as the table's primary key writes it, whatever the order and the form of numbers.
CREATE FUNCTION authz.audit_trail(on_table regclass, key jsonb) RETURNS SETOF authz.audit_log
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
-- A handful of records out of many: by the indexes, whatever the planner knows of them.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
BEGIN ATOMIC
	WITH found AS (
		SELECT l FROM (SELECT DISTINCT t.trail FROM authz.audited_table t WHERE on_table IN (t.relation, t.logical)) t
			CROSS JOIN authz.walk_trail(t.trail, audit_trail.key) w JOIN authz.audit_log l
				ON l.trail = t.trail AND authz.audit_key_order(l.key) = authz.audit_key_order(w.key) AND l.key = w.key
					AND (w.ids IS NULL OR l.id = ANY (w.ids))),
	-- A TRUNCATE took the row with it.
	emptied AS (
		SELECT l FROM (SELECT (f.l).trail, min((f.l).id) AS id FROM found f GROUP BY 1) s JOIN authz.audit_log l
			ON l.trail = s.trail AND authz.audit_key_order(l.key) IS NULL AND l.action = 'truncate' AND l.id > s.id)
	SELECT (d.l).* FROM (
		SELECT DISTINCT ON ((a.l).id) a.l FROM (SELECT f.l FROM found f UNION ALL SELECT e.l FROM emptied e) a
		ORDER BY (a.l).id) d;
END;
COMMENT ON FUNCTION authz.audit_trail(regclass, jsonb) IS 'history of the row with this primary key, oldest first, also under the keys it had before';

REVOKE ALL ON FUNCTION authz.walk_trail(bigint, jsonb), authz.audit_trail(regclass, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.walk_trail(bigint, jsonb), authz.audit_trail(regclass, jsonb) TO authz_auditor;
