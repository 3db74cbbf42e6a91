-- Scripts that can be run again: create_*(..., replace => true), ON CONFLICT on the tables; names and places of masks.
\set SHOW_CONTEXT never
CREATE ROLE regress_authz_owner;
GRANT authz_admin TO regress_authz_owner;
CREATE SCHEMA regress_replace AUTHORIZATION regress_authz_owner;
SET search_path = regress_replace;
SET ROLE regress_authz_owner;
CREATE TABLE doc (id int, title text, owner text);
SELECT authz.protect('doc');

-- What one run of the script makes, the second finds as it is: no version, no history.
CREATE FUNCTION deploy(condition text DEFAULT 'id > 0', mask text DEFAULT 'null', description text DEFAULT 'reads', inherits text[] DEFAULT '{}', claim text DEFAULT 'roles') RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	before bigint := authz.policy_version();
BEGIN
	PERFORM authz.create_role('replace_base', replace => true);
	PERFORM authz.create_role('replace_reader', inherits, description, replace => true);
	PERFORM authz.create_policy('read', 'doc', '{select}', condition, '{replace_reader}', replace => true);
	PERFORM authz.create_mask('doc', 'title', mask, '{replace_reader}', name => 'titles', replace => true);
	PERFORM authz.create_issuer('https://replace.example', '{api}', claim, replace => true);
	RETURN QUERY SELECT format('%s %s %s', h.operation, h.object_type, h.name) FROM authz.policy_history h WHERE h.version > before ORDER BY h.version;
END
$$;
SELECT deploy();
SELECT deploy();
-- Written otherwise, means the same.
SELECT deploy('  doc.id  >  0 ');
SELECT deploy('id > 1', 'constant(''x'')', 'reads all', '{replace_base}', 'groups');
SELECT deploy('id > 1', 'constant(''x'')', 'reads all', '{}', 'groups');
SELECT p.condition, p.description, m.mask, m.priority, r.description, (SELECT count(*) FROM authz.role_inheritance i WHERE i.role = r.name)
	FROM authz.policy p, authz.mask m, authz.role r WHERE p.relation = 'doc'::regclass AND m.relation = p.relation AND r.name = 'replace_reader';
RESET ROLE;
SELECT roles_claim FROM authz.issuer WHERE issuer = 'https://replace.example';
SET ROLE regress_authz_owner;

-- What is disabled stays so.
SELECT authz.disable_policy('read', 'doc'), authz.alter_mask('doc', 'title', enabled => false);
SELECT deploy('id > 2', 'null', 'reads all');
SELECT p.enabled, m.enabled FROM authz.policy p, authz.mask m WHERE p.relation = 'doc'::regclass AND m.relation = p.relation;

-- Without replace it is an error, as before; what is wrong is refused as before, and nothing is changed.
SELECT authz.create_policy('read', 'doc', '{select}');
SELECT authz.create_mask('doc', 'title', 'clear', name => 'titles');
SELECT authz.create_mask('doc', 'owner', 'clear', name => 'titles', replace => NULL);
SELECT authz.create_role('replace_reader');
RESET ROLE;
SELECT authz.create_issuer('https://replace.example', '{api}');
SELECT authz.create_issuer('authz:internal', '{api}', replace => true);
SET ROLE regress_authz_owner;
SELECT authz.create_policy('read', 'doc', '{select}', 'nosuch = 1', replace => true);
SELECT authz.create_policy('read', 'doc', '{select}', roles => '{nosuch}', replace => true);
SELECT authz.create_mask('doc', 'id', 'email', name => 'titles', replace => true);
SELECT p.condition, m.mask FROM authz.policy p, authz.mask m WHERE p.relation = 'doc'::regclass AND m.relation = p.relation;
-- Nor may others replace what is not theirs.
RESET ROLE;
CREATE ROLE regress_authz_other;
GRANT authz_admin TO regress_authz_other;
GRANT USAGE ON SCHEMA regress_replace TO regress_authz_other;
SET ROLE regress_authz_other;
SELECT authz.create_policy('read', 'doc', '{select}', replace => true);
SELECT authz.create_mask('doc', 'title', 'clear', name => 'titles', replace => true);
SET ROLE regress_authz_owner;

-- The tables themselves.
INSERT INTO authz.policy (relation, name, actions) VALUES ('doc', 'read', '{delete}') ON CONFLICT DO NOTHING;
INSERT INTO authz.policy (relation, name, actions) VALUES ('doc', 'read', '{delete}')
	ON CONFLICT (relation, name) DO UPDATE SET actions = excluded.actions RETURNING actions, version > 0 AS numbered;
INSERT INTO authz.mask (relation, column_name, name, mask) VALUES ('doc', 'title', 'titles', 'clear')
	ON CONFLICT (relation, name) DO UPDATE SET mask = excluded.mask RETURNING mask, priority, roles;
INSERT INTO authz.mask (relation, column_name, mask) VALUES ('doc', 'title', 'email') ON CONFLICT (relation, column_name, priority) DO UPDATE SET mask = excluded.mask
	RETURNING mask, name;
\set VERBOSITY terse
INSERT INTO authz.policy (relation, name, actions) VALUES ('doc', 'read', '{delete}');
\set VERBOSITY default
SELECT authz.drop_policy('read', 'doc'), authz.drop_mask('doc', 'title', name => 'titles');

-- Names and places of masks.  One that nothing is left to is warned of, from either side.
SELECT authz.create_mask('doc', 'title', 'null', '{replace_reader}');
SELECT authz.create_mask('doc', 'title', 'email', name => 'all');
SELECT authz.create_mask('doc', 'title', 'clear', '{replace_base}');
SELECT authz.create_mask('doc', 'title', 'clear', '{anonymous}', name => 'public');
SELECT authz.create_mask('doc', 'title', 'clear', '{replace_base}', priority => 7, name => 'base');
SELECT authz.create_mask('doc', 'title', 'clear', condition => 'id = 1', priority => 6, name => 'first');
SELECT authz.create_mask('doc', 'title', 'clear', valid_during => '[2020-01-01,2021-01-01)', priority => 5, name => 'then');
SELECT name, priority, mask, roles FROM authz.mask WHERE relation = 'doc'::regclass ORDER BY priority;
SELECT authz.create_mask('doc', 'title', 'null', '{replace_base,replace_reader}', priority => 1, name => 'early');
SELECT authz.alter_mask('doc', 'title', name => 'early', enabled => false);
SELECT authz.alter_mask('doc', 'title', name => 'early', priority => 300, enabled => true);
SELECT authz.create_mask('doc', 'title', 'null', priority => 7);
SELECT authz.create_mask('doc', 'title', 'null', priority => 7, name => 'base', replace => true);
SELECT authz.create_mask('doc', 'title', 'null', priority => 8, name => 'base', replace => true);
SELECT authz.alter_mask('doc', 'title', name => 'base', priority => 6);
SELECT authz.drop_mask('doc', 'title', name => 'nosuch');
SELECT authz.drop_mask('doc', 'title', 99);
SELECT authz.drop_mask('doc', 'id');
SELECT authz.create_mask('doc', 'title', 'null', name => '');
SELECT authz.drop_mask('doc', 'title', name => 'base'), authz.drop_mask('doc', 'title', 300);
SELECT name, priority FROM authz.mask WHERE relation = 'doc'::regclass ORDER BY priority;

-- What a condition must not call is named, at its place.
CREATE FUNCTION guess(int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT $1';
SELECT authz.create_policy('x', 'doc', '{select}', 'id > 0 AND guess(id) = 1');
SELECT authz.create_policy('x', 'doc', '{select}', 'id IN (SELECT guess(d.id) FROM doc d)');
SELECT authz.create_mask('doc', 'title', 'clock_timestamp()::text');

RESET ROLE;
DROP SCHEMA regress_replace CASCADE;
DELETE FROM authz.role WHERE name IN ('replace_reader', 'replace_base');
SELECT authz.drop_issuer('https://replace.example');
DROP ROLE regress_authz_owner, regress_authz_other;
