// sequelize_staff.js
//	  The masked view app.staff, as a model of Sequelize's.  It is asked and answers
//	  as conversation.py says.
const readline = require('readline');
const { DataTypes, Sequelize, col, fn, literal } = require('sequelize');

const sequelize = new Sequelize({
	dialect: 'postgres',
	host: process.env.PGHOST,
	port: process.env.PGPORT,
	database: process.env.PGDATABASE,
	username: process.env.PGUSER,
	logging: false,
	pool: { max: 1 },
	define: { tableName: 'staff', timestamps: false, version: true },
});

const Staff = sequelize.define('Staff', {
	id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true },
	login: DataTypes.STRING(20),
	name: DataTypes.STRING(60),
	email: DataTypes.TEXT,
	phone: DataTypes.STRING(30),
	salary: DataTypes.DECIMAL(12, 2),
	born: DataTypes.DATEONLY,
	badge: DataTypes.UUID,
	// A Date of JavaScript has milliseconds only: to keep what is finer, as text.
	seen_at: DataTypes.TEXT,
	profile: DataTypes.JSONB,
	tags: DataTypes.ARRAY(DataTypes.TEXT),
	vip: DataTypes.BOOLEAN,
	iban: DataTypes.TEXT,
	gone: DataTypes.BOOLEAN,
	tenant: DataTypes.BIGINT,
});
const FIELDS = Object.keys(Staff.getAttributes());
require('pg').types.setTypeParser(1184, (value) => value);

let kept; // what "load" read

// A transaction that begins with a log-in.
function acting(token, work) {
	return sequelize.transaction(async (transaction) => {
		if (token !== null) {
			await sequelize.query('SELECT authz.login($token)', { bind: { token }, transaction });
		}
		return work(transaction);
	});
}

const things = {
	versions: async () => `Sequelize ${Sequelize.version}`,

	describe: async () => Object.keys(await sequelize.getQueryInterface().describeTable('staff', { schema: 'app' })),

	read: ({ token, where = {} }) => acting(token, async (transaction) =>
		(await Staff.findAll({ where, order: ['id'], transaction })).map((row) => row.get())),

	load: ({ token, id }) => acting(token, async (transaction) => {
		kept = await Staff.findByPk(id, { transaction });
	}),

	// Change what was loaded, and send all of it back.
	store: ({ token, set }) => acting(token, async (transaction) => {
		kept.set(set);
		FIELDS.forEach((name) => kept.changed(name, true));
		await kept.save({ fields: FIELDS, transaction });
	}),

	create: ({ token, values }) => acting(token, async (transaction) =>
		(await (await Staff.create(values, { transaction })).reload({ transaction })).get()),

	bulk: ({ token, rows }) => acting(token, async (transaction) =>
		(await Staff.bulkCreate(rows, { transaction })).map((row) => row.id)),

	upsert: ({ token, values }) => acting(token, async (transaction) => {
		await Staff.upsert(values, { transaction });
	}),

	remove: ({ token, id }) => acting(token, async (transaction) => {
		await (await Staff.findByPk(id, { transaction })).destroy({ transaction });
	}),

	change: ({ token, where, set }) => acting(token, async (transaction) =>
		(await Staff.update(set, { where, transaction }))[0]),

	raise_salary: ({ token, id, by }) => acting(token, async (transaction) => {
		await Staff.update({ salary: literal(`salary + ${Number(by)}`) }, { where: { id }, transaction });
	}),

	order: ({ token, by }) => acting(token, async (transaction) =>
		(await Staff.findAll({ order: [[by, 'DESC'], 'id'], transaction })).map((row) => row.id)),

	group: ({ token, by }) => acting(token, async (transaction) =>
		(await Staff.findAll({ attributes: [by, [fn('count', col('id')), 'n']], group: by, order: [by], raw: true, transaction }))
			.map((row) => [row[by], row.n])),

	lock: ({ token, id }) => acting(token, async (transaction) =>
		(await Staff.findByPk(id, { lock: transaction.LOCK.UPDATE, transaction })).email),
};

(async () => {
	for await (const line of readline.createInterface({ input: process.stdin })) {
		const asked = JSON.parse(line);
		let answer;

		try {
			answer = { answer: (await things[asked.do](asked)) ?? null };
		} catch (error) {
			answer = { error: error.parent?.code ?? error.name, message: error.message };
		}
		console.log(JSON.stringify(answer));
	}
	await sequelize.close();
})();
