//! What the server runs, each as a whole. The first key of a script about quotas is the server's mark.

/// What `Counter::lease` does, on the server: a counter is a hash, with a field for each period that is kept.
pub(super) const LEASE: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-1, 0, 0} end
local number, limit, offset, size = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local left, owed, returned, nodes = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local field, kept, most = 'p' .. ARGV[2], tonumber(ARGV[11]), tonumber(ARGV[12])
local row, of, gone = redis.call('HGETALL', KEYS[2]), {}, {}
for at = 1, #row, 2 do
  if row[at] == 'gone' then gone = cjson.decode(row[at + 1]) else of[row[at]] = tonumber(row[at + 1]) end
end
if of.number then
  for period, leased in pairs({[of.number] = of.leased, [of.before or 0] = of.of_before or 0}) do
    if period > 0 then
      local name = string.format('p%d', period)
      of[name] = leased
      redis.call('HSET', KEYS[2], name, leased)
    end
  end
  if (of.before or 0) > 0 then
    gone = {{0, of.before - 1}}
    redis.call('HSET', KEYS[2], 'gone', cjson.encode(gone))
  end
  redis.call('HDEL', KEYS[2], 'number', 'leased', 'before', 'of_before')
end
local first, now = of.first or number, of[field]
if not now then
  for _, span in ipairs(gone) do
    if number >= span[1] and number <= span[2] then return {0, 0, 0} end
  end
  local count, furthest = 0, number
  for name in pairs(of) do
    local period = tonumber(string.match(name, '^p(%d+)$'))
    if period then
      count = count + 1
      if math.abs(period - number) > math.abs(furthest - number) then furthest = period end
    end
  end
  if count >= kept then
    redis.call('HDEL', KEYS[2], string.format('p%d', furthest))
    gone[#gone + 1] = {furthest, furthest}
    table.sort(gone, function(one, other) return one[1] < other[1] end)
    local function merge(at)
      gone[at][2] = math.max(gone[at][2], gone[at + 1][2])
      table.remove(gone, at + 1)
    end
    local at = 1
    while at < #gone do
      if gone[at + 1][1] <= gone[at][2] + 1 then merge(at) else at = at + 1 end
    end
    while #gone > most do
      local least = 1
      for next = 2, #gone - 1 do
        if gone[next + 1][1] - gone[next][2] < gone[least + 1][1] - gone[least][2] then least = next end
      end
      merge(least)
    end
    redis.call('HSET', KEYS[2], 'gone', cjson.encode(gone))
  end
  now = 0
end
now = math.max(now - returned, 0) + owed
if number == first then limit = math.max(limit - offset, 0) end
local rest = math.max(limit - now, 0)
local want = math.min(size, math.ceil(rest / (2 * math.max(nodes, 1))))
want = math.min(math.max(want, 1), rest)
local granted = math.max(want - left, 0)
now = now + granted
redis.call('HSET', KEYS[2], 'first', first, field, now)
redis.call('EXPIRE', KEYS[2], ARGV[10])
return {granted, limit, now}
";

/// What `Counter::give_back` does.
pub(super) const GIVE_BACK: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local field = 'p' .. ARGV[2]
local leased = tonumber(redis.call('HGET', KEYS[2], field))
if leased then redis.call('HSET', KEYS[2], field, math.max(leased - tonumber(ARGV[3]), 0)) end
return 1
";

/// Keys: changed records and taken values are looked for before anything is written.
pub(super) const CHANGE_KEYS: &str = r"
local gone, records = {}, {}
for at = 2, 1 + tonumber(ARGV[1]) do gone[ARGV[at]] = true end
for at = 2 + tonumber(ARGV[1]), #ARGV - 1 do records[#records + 1] = {ARGV[at], cjson.decode(ARGV[at])} end
for _, record in ipairs(records) do
  local old, next = redis.call('HGET', KEYS[1], record[2].id), 0
  if old then next = (cjson.decode(old).version or 0) + 1 end
  if record[2].version ~= next then return {'changed', record[2].id} end
  for _, secret in ipairs(record[2].secrets) do
    local owner = redis.call('HGET', KEYS[2], secret.sha256)
    if owner and owner ~= record[2].id and not gone[owner] then return {'taken', owner} end
  end
end
local function change(id, record)
  local line, keep, old = id, {}, redis.call('HGET', KEYS[1], id)
  if record then for _, secret in ipairs(record.secrets) do keep[secret.sha256] = true end end
  if old then
    for _, secret in ipairs(cjson.decode(old).secrets) do
      if not keep[secret.sha256] then
        redis.call('HDEL', KEYS[2], secret.sha256)
        line = line .. ' ' .. secret.sha256
      end
    end
  end
  local revision = redis.call('INCR', KEYS[4])
  redis.call('ZADD', KEYS[3], revision, revision .. ' ' .. line)
end
for id in pairs(gone) do
  change(id)
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[5], id)
end
for _, record in ipairs(records) do
  local id = record[2].id
  change(id, record[2])
  redis.call('HSET', KEYS[1], id, record[1])
  redis.call('ZADD', KEYS[5], 0, id)
  for _, secret in ipairs(record[2].secrets) do redis.call('HSET', KEYS[2], secret.sha256, id) end
end
redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - tonumber(ARGV[#ARGV]))
return {}
";

/// Adds a batch to the ledger, unless it is there: who got no answer asks again.
pub(super) const BOOK: &str = r"
if not redis.call('SET', KEYS[1], 1, 'NX', 'EX', 86400) then return 0 end
for at = 2, #ARGV, 3 do
  redis.call('HINCRBY', ARGV[at], ARGV[at + 1], ARGV[at + 2])
  redis.call('EXPIRE', ARGV[at], ARGV[1])
end
return 1
";

/// A sign of life; says how many nodes are alive.
pub(super) const HEARTBEAT: &str = r"
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
return redis.call('ZCARD', KEYS[1])
";
