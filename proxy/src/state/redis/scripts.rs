//! What the server runs, each as a whole. The first key of a script about quotas is the server's mark.

/// What `Counter::lease` does, on the server.
pub(super) const LEASE: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-1, 0, 0} end
local number, limit, offset, size = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local left, owed, returned, nodes = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local row = redis.call('HMGET', KEYS[2], 'first', 'number', 'leased', 'before', 'of_before')
local first, last, leased = tonumber(row[1] or number), tonumber(row[2] or number), tonumber(row[3] or 0)
local before, of_before = tonumber(row[4] or 0), tonumber(row[5] or 0)
if number > last then before, of_before, last, leased = last, leased, number, 0 end
local now
if number == last then now = leased elseif number == before then now = of_before else return {0, 0, 0} end
now = math.max(now - returned, 0) + owed
if number == first then limit = math.max(limit - offset, 0) end
local rest = math.max(limit - now, 0)
local want = math.min(size, math.ceil(rest / (2 * math.max(nodes, 1))))
want = math.min(math.max(want, 1), rest)
local granted = math.max(want - left, 0)
now = now + granted
if number == last then leased = now else of_before = now end
redis.call('HSET', KEYS[2], 'first', first, 'number', last, 'leased', leased, 'before', before, 'of_before', of_before)
redis.call('EXPIRE', KEYS[2], ARGV[10])
return {granted, limit, now}
";

/// What `Counter::give_back` does.
pub(super) const GIVE_BACK: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local row = redis.call('HMGET', KEYS[2], 'number', 'leased', 'before', 'of_before')
local number, count = tonumber(ARGV[2]), tonumber(ARGV[3])
if tonumber(row[1]) == number then
  redis.call('HSET', KEYS[2], 'leased', math.max(tonumber(row[2]) - count, 0))
elseif tonumber(row[3]) == number then
  redis.call('HSET', KEYS[2], 'of_before', math.max(tonumber(row[4]) - count, 0))
end
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
