#include "machine/rtc.h"

#include "base/buf.h"
#include "base/bus.h"
#include "base/state.h"

#include <string.h>
#include <time.h>

enum { SEC = 0, SEC_ALARM, MIN, MIN_ALARM, HOUR, HOUR_ALARM, WEEKDAY, DAY, MONTH, YEAR, REG_A, REG_B,
	REG_C, REG_D };
enum { A_UIP = 0x80, B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10, B_BINARY = 0x04,
	B_24H = 0x02, C_IRQ = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10 };

#define NS_PER_S    INT64_C(1000000000)
#define UIP_NS      244000
#define DAY_SECONDS 86400

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t date_ns(const struct rtc *r, uint64_t tick)
{
	return r->offset + (int64_t)tick;
}

static int64_t seconds(const struct rtc *r, uint64_t tick)
{
	return floor_div(date_ns(r, tick), NS_PER_S);
}

/* --- fields --------------------------------------------------------------- */

static uint8_t encode(const struct rtc *r, int v)
{
	return r->cmos[REG_B] & B_BINARY ? (uint8_t)v : (uint8_t)(v / 10 << 4 | v % 10);
}

static int decode(const struct rtc *r, uint8_t v)
{
	return r->cmos[REG_B] & B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}

static uint8_t encode_hour(const struct rtc *r, int h)
{
	if (r->cmos[REG_B] & B_24H)
		return encode(r, h);
	int h12 = h % 12 ? h % 12 : 12;
	return encode(r, h12) | (h >= 12 ? 0x80 : 0);
}

static int decode_hour(const struct rtc *r, uint8_t v)
{
	if (r->cmos[REG_B] & B_24H)
		return decode(r, v);
	return decode(r, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

/* Puts the date of `s` into the time registers of `out`. */
static void put_date(const struct rtc *r, int64_t s, uint8_t out[CMOS_BYTES])
{
	time_t t = (time_t)s;
	struct tm tm;
	gmtime_r(&t, &tm);
	int year = tm.tm_year + 1900;
	out[SEC] = encode(r, tm.tm_sec);
	out[MIN] = encode(r, tm.tm_min);
	out[HOUR] = encode_hour(r, tm.tm_hour);
	out[WEEKDAY] = encode(r, tm.tm_wday + 1);
	out[DAY] = encode(r, tm.tm_mday);
	out[MONTH] = encode(r, tm.tm_mon + 1);
	out[YEAR] = encode(r, year % 100);
	out[CMOS_CENTURY] = (uint8_t)(year / 1000 << 4 | year / 100 % 10);
}

static int64_t get_date(const struct rtc *r, const uint8_t in[CMOS_BYTES])
{
	int century = (in[CMOS_CENTURY] >> 4) * 10 + (in[CMOS_CENTURY] & 15);
	struct tm tm = {
		.tm_sec = decode(r, in[SEC]),
		.tm_min = decode(r, in[MIN]),
		.tm_hour = decode_hour(r, in[HOUR]),
		.tm_mday = decode(r, in[DAY]),
		.tm_mon = decode(r, in[MONTH]) - 1,
		.tm_year = century * 100 + decode(r, in[YEAR]) - 1900,
	};
	return (int64_t)timegm(&tm);
}

static bool time_register(unsigned i)
{
	return i == SEC || i == MIN || i == HOUR || (i >= WEEKDAY && i <= YEAR) || i == CMOS_CENTURY;
}

/* --- flags and interrupts --------------------------------------------------- */

/* Ticks between periodic interrupts; 0: off. Rates 1 and 2 are 3.9 and 7.8 ms. */
static uint64_t period(const struct rtc *r)
{
	unsigned rate = r->cmos[REG_A] & 15;
	if (!rate)
		return 0;
	if (rate < 3)
		rate += 7;
	return (NS_PER_S << (rate - 1)) / 32768;
}

static bool alarm_field(const struct rtc *r, unsigned reg, int value)
{
	uint8_t a = r->cmos[reg];
	if ((a & 0xc0) == 0xc0)
		return true;
	return (reg == HOUR_ALARM ? decode_hour(r, a) : decode(r, a)) == value;
}

static bool alarm_matches(const struct rtc *r, int64_t s)
{
	int64_t of_day = ((s % DAY_SECONDS) + DAY_SECONDS) % DAY_SECONDS;
	return alarm_field(r, SEC_ALARM, (int)(of_day % 60)) &&
		alarm_field(r, MIN_ALARM, (int)(of_day / 60 % 60)) &&
		alarm_field(r, HOUR_ALARM, (int)(of_day / 3600));
}

/* The first second in (from, to] at which the alarm rings; -1: none. */
static int64_t next_alarm(const struct rtc *r, int64_t from, int64_t to)
{
	if (to > from + DAY_SECONDS)
		to = from + DAY_SECONDS;
	for (int64_t s = from + 1; s <= to; s++)
		if (alarm_matches(r, s))
			return s;
	return -1;
}

/* Brings register C up to the present. */
static void catch_up(struct rtc *r)
{
	uint64_t now = r->clock->now;
	uint8_t c = 0;
	if (!(r->cmos[REG_B] & B_SET)) {
		int64_t from = seconds(r, r->seen), to = seconds(r, now);
		if (to > from)
			c |= C_UF;
		if (to > from && !(r->cmos[REG_C] & C_AF) && next_alarm(r, from, to) >= 0)
			c |= C_AF;
	}
	uint64_t p = period(r);
	if (p && now / p > r->seen / p)
		c |= C_PF;
	r->seen = now;
	r->cmos[REG_C] |= c;
}

static void set_level(struct rtc *r)
{
	bool level = r->cmos[REG_C] & r->cmos[REG_B] & (C_PF | C_AF | C_UF);
	r->cmos[REG_C] = (r->cmos[REG_C] & ~C_IRQ) | (level ? C_IRQ : 0);
	if (r->cmos[REG_C] & r->cmos[REG_B] & C_AF && !r->level && r->wake)
		r->wake(r->wake_ctx);
	r->level = level;
	if (!r->irq_off)
		irq_set(&r->irq, level);
}

static uint64_t tick_of_second(const struct rtc *r, int64_t s)
{
	int64_t t = s * NS_PER_S - r->offset;
	return t < 0 ? 0 : (uint64_t)t;
}

static void arm(struct rtc *r)
{
	uint64_t next = CLOCK_NEVER, now = r->clock->now, p = period(r);
	uint8_t b = r->cmos[REG_B], c = r->cmos[REG_C];
	int64_t s = seconds(r, now);
	if (b & B_PIE && !(c & C_PF) && p)
		next = (now / p + 1) * p;
	if (b & B_UIE && !(c & C_UF) && !(b & B_SET) && tick_of_second(r, s + 1) < next)
		next = tick_of_second(r, s + 1);
	if (b & B_AIE && !(c & C_AF) && !(b & B_SET)) {
		int64_t alarm = next_alarm(r, s, s + DAY_SECONDS);
		if (alarm >= 0 && tick_of_second(r, alarm) < next)
			next = tick_of_second(r, alarm);
	}
	clock_arm(r->clock, &r->timer, next);
}

static void update(struct rtc *r)
{
	catch_up(r);
	set_level(r);
	arm(r);
}

static void fire(void *owner)
{
	update(owner);
}

/* --- registers ---------------------------------------------------------------- */

static uint8_t read_register(struct rtc *r, unsigned i)
{
	uint8_t date[CMOS_BYTES];
	if (time_register(i) && !(r->cmos[REG_B] & B_SET)) {
		put_date(r, seconds(r, r->clock->now), date);
		return date[i];
	}
	if (i == REG_A) {
		int64_t into = date_ns(r, r->clock->now) - seconds(r, r->clock->now) * NS_PER_S;
		bool uip = !(r->cmos[REG_B] & B_SET) && into >= NS_PER_S - UIP_NS;
		return (r->cmos[REG_A] & 0x7f) | (uip ? A_UIP : 0);
	}
	if (i == REG_C) {
		catch_up(r);
		set_level(r);
		uint8_t c = r->cmos[REG_C];
		r->cmos[REG_C] = 0;
		update(r);
		return c;
	}
	return i == REG_D ? 0x80 : r->cmos[i];
}

/* Register B: SET freezes the date in the registers and lets it go again. */
static void write_b(struct rtc *r, uint8_t v)
{
	catch_up(r);
	uint8_t old = r->cmos[REG_B];
	if (v & B_SET && !(old & B_SET))
		put_date(r, seconds(r, r->clock->now), r->cmos);
	r->cmos[REG_B] = v & B_SET ? v & ~B_UIE : v;
	if (!(v & B_SET) && old & B_SET)
		r->offset = get_date(r, r->cmos) * NS_PER_S - (int64_t)r->clock->now;
	update(r);
}

static void write_time(struct rtc *r, unsigned i, uint8_t v)
{
	catch_up(r);
	if (r->cmos[REG_B] & B_SET) {
		r->cmos[i] = v;
		return;
	}
	uint8_t date[CMOS_BYTES];
	int64_t s = seconds(r, r->clock->now);
	put_date(r, s, date);
	date[i] = v;
	r->offset += (get_date(r, date) - s) * NS_PER_S;
	update(r);
}

static void write_register(struct rtc *r, unsigned i, uint8_t v)
{
	if (time_register(i)) {
		write_time(r, i, v);
	} else if (i == REG_B) {
		write_b(r, v);
	} else if (i == REG_A || i == SEC_ALARM || i == MIN_ALARM || i == HOUR_ALARM) {
		catch_up(r);
		r->cmos[i] = i == REG_A ? v & 0x7f : v;
		update(r);
	} else if (i != REG_C && i != REG_D) {
		r->cmos[i] = v;
	}
}

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
	struct rtc *r = dev;
	(void)size;
	return offset & 1 ? read_register(r, r->index) : r->index;
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct rtc *r = dev;
	(void)size;
	if (offset & 1)
		write_register(r, r->index, (uint8_t)value);
	else
		r->index = value & (CMOS_BYTES - 1); /* bit 7 of port 70h masks NMI on old boards */
}

static const struct bus_ops ops = {port_read, port_write};

void rtc_init(struct rtc *r, struct bus *bus, struct clock *clock, struct irq_line irq, int64_t date)
{
	memset(r, 0, sizeof(*r));
	r->clock = clock;
	r->irq = irq;
	r->offset = date * NS_PER_S;
	r->cmos[REG_A] = 0x26;
	r->cmos[REG_B] = B_24H;
	clock_register(clock, &r->timer, fire, r);
	bus_map_port(bus, 0x70, 4, &ops, r, "rtc");
}

void rtc_reset(struct rtc *r)
{
	catch_up(r);
	r->index = 0;
	r->irq_off = false;
	r->cmos[REG_B] &= ~(B_PIE | B_AIE | B_UIE);
	r->cmos[REG_C] = 0;
	update(r);
}

void rtc_legacy_off(struct rtc *r, bool off)
{
	r->irq_off = off;
	irq_set(&r->irq, !off && r->level);
}

static void put16(uint8_t *p, uint64_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

void rtc_memory(struct rtc *r, uint64_t low_top, uint64_t high_bytes)
{
	uint64_t ext = low_top > 1 << 20 ? (low_top >> 10) - 1024 : 0;
	put16(&r->cmos[0x15], 640);
	put16(&r->cmos[0x17], ext > 0xffff ? 0xffff : ext);
	put16(&r->cmos[0x30], ext > 0xffff ? 0xffff : ext);
	put16(&r->cmos[0x34], low_top > 16 << 20 ? (low_top - (16 << 20)) >> 16 : 0);
	put16(&r->cmos[0x5b], high_bytes >> 16);
	r->cmos[0x5d] = (uint8_t)(high_bytes >> 32);
}

void rtc_state(struct rtc *r, struct state *s)
{
	state_section(s, "rtc", 1);
	state_u8(s, &r->index);
	state_bytes(s, r->cmos, sizeof(r->cmos));
	uint64_t offset = (uint64_t)r->offset;
	state_u64(s, &offset);
	r->offset = (int64_t)offset;
	state_u64(s, &r->seen);
	state_bool(s, &r->irq_off);
	state_bool(s, &r->level);
	r->index &= CMOS_BYTES - 1;
	const int64_t limit = INT64_C(8000000000) * NS_PER_S;
	if (r->offset > limit || r->offset < -limit)
		state_fail(s, "the snapshot's date is out of range");
}

void rtc_info(const struct rtc *r, struct buf *out)
{
	time_t t = (time_t)seconds(r, r->clock->now);
	struct tm tm;
	gmtime_r(&t, &tm);
	buf_fmt(out, "rtc      %04d-%02d-%02d %02d:%02d:%02d A %02x B %02x C %02x\n",
		tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		r->cmos[REG_A], r->cmos[REG_B], r->cmos[REG_C]);
}
