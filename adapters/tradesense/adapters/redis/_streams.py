"""The scripts that topics, groups and dead letters are made of, each one step of the server."""

from __future__ import annotations

from tradesense.adapters.redis._client import Script

MESSAGE, POSITION, ATTEMPTS, REASON = b"m", b"p", b"a", b"r"
"""The fields of an entry of a stream."""
LOST = "-"
"""Who holds what a consumer held that has left. It is no consumer's name."""
FORGET_MILLISECONDS = 24 * 60 * 60 * 1000
"""A consumer that holds nothing and was not heard of for so long is forgotten."""

# The answer is whether there may be a gap, and entries. A position beyond all that is there was given out by a server
# that has lost its memory since.
AFTER = Script("""
local stream, position, limit = KEYS[1], ARGV[1], ARGV[2]
if position == '' then return {0, redis.call('xrange', stream, '-', '+', 'count', limit)} end
local found = redis.call('xrange', stream, '(' .. position, '+', 'count', limit)
if #redis.call('xrange', stream, position, position) > 0 then return {0, found} end
if #found == 0 and #redis.call('xrevrange', stream, '+', '(' .. position, 'count', 1) == 0 then
  found = redis.call('xrange', stream, '-', '+', 'count', limit)
end
return {1, found}
""")
# KEYS: the topic, what is replayed. The group reads both under one name.
JOIN = Script("""
local made = redis.pcall('xgroup', 'create', KEYS[1], ARGV[1], ARGV[2], 'mkstream')
if made.err and not string.find(made.err, 'BUSYGROUP') then return made end
local again = redis.pcall('xgroup', 'create', KEYS[2], ARGV[1], '0', 'mkstream')
if again.err and not string.find(again.err, 'BUSYGROUP') then return again end
return made.err and 0 or 1
""")
# A message that its topic no longer retains leaves the group's hands here: XCLAIM lets it go.
CLAIM = Script("""
local group, consumer, idle, limit, forget = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local answers = {}
for i, stream in ipairs(KEYS) do
  answers[i] = {}
  local held = redis.pcall('xpending', stream, group, 'idle', idle, '-', '+', limit)
  if held.err and not string.find(held.err, 'NOGROUP') then return held end
  if not held.err then
    for _, one in ipairs(held) do
      local entry = redis.call('xclaim', stream, group, consumer, idle, one[1])[1]
      if entry then table.insert(answers[i], {entry[1], entry[2], one[4] + 1}) end
    end
    for _, other in ipairs(redis.call('xinfo', 'consumers', stream, group)) do
      local about = {}
      for j = 1, #other, 2 do about[other[j]] = other[j + 1] end
      if about['pending'] == 0 and about['idle'] > forget then
        redis.call('xgroup', 'delconsumer', stream, group, about['name'])
      end
    end
  end
end
return answers
""")
# ARGV: the group, how many receipts are of the topic, these, and those of what is replayed, which nobody else reads.
ACKNOWLEDGE = Script("""
local group, first, done = ARGV[1], tonumber(ARGV[2]), 0
for i = 3, #ARGV do
  local stream = i < first + 3 and KEYS[1] or KEYS[2]
  done = done + redis.call('xack', stream, group, ARGV[i])
  if stream == KEYS[2] then redis.call('xdel', stream, ARGV[i]) end
end
return done
""")
LEAVE = Script("""
local group, consumer, lost, ago = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
for _, stream in ipairs(KEYS) do
  local held = redis.pcall('xpending', stream, group, '-', '+', 1000, consumer)
  while not held.err and #held > 0 do
    for _, one in ipairs(held) do
      redis.call('xclaim', stream, group, lost, 0, one[1], 'idle', ago, 'retrycount', one[4], 'justid')
    end
    held = redis.call('xpending', stream, group, '-', '+', 1000, consumer)
  end
  redis.pcall('xgroup', 'delconsumer', stream, group, consumer)
end
return 0
""")
PENDING = Script("""
local count = 0
for _, stream in ipairs(KEYS) do
  local held = redis.pcall('xpending', stream, ARGV[1])
  if not held.err then count = count + held[1] end
end
return count
""")
# KEYS: the stream that the delivery came from, the dead letters.
BURY = Script("""
if redis.call('xack', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
if ARGV[3] == 'again' then redis.call('xdel', KEYS[1], ARGV[2]) end
redis.call('xadd', KEYS[2], 'maxlen', ARGV[4], '*', 'm', ARGV[5], 'p', ARGV[6], 'a', ARGV[7], 'r', ARGV[8])
return 1
""")
# How many entries, the first place and the last, and the groups.
ABOUT = Script("""
local stream, groups = KEYS[1], {}
local first = redis.call('xrange', stream, '-', '+', 'count', 1)[1]
local last = redis.call('xrevrange', stream, '+', '-', 'count', 1)[1]
local found = redis.pcall('xinfo', 'groups', stream)
if not found.err then
  for _, one in ipairs(found) do
    local about = {}
    for j = 1, #one, 2 do about[one[j]] = one[j + 1] end
    table.insert(groups, about['name'])
  end
end
return {redis.call('xlen', stream), first and first[1] or '', last and last[1] or '', groups}
""")
# A stream that is empty and that no group reads goes itself.
EXPIRE = Script("""
local time = redis.call('time')
local before = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) - tonumber(ARGV[1])
if before <= 0 then return 0 end
local gone = redis.call('xtrim', KEYS[1], 'minid', string.format('%.0f', before))
if redis.call('xlen', KEYS[1]) == 0 then
  local groups = redis.pcall('xinfo', 'groups', KEYS[1])
  if not groups.err and #groups == 0 then redis.call('del', KEYS[1]) end
end
return gone
""")
# KEYS: the dead letters, what is replayed.
REPLAY = Script("""
redis.pcall('xgroup', 'create', KEYS[2], ARGV[1], '0', 'mkstream')
local count = 0
for i = 2, #ARGV do
  local letter = redis.call('xrange', KEYS[1], ARGV[i], ARGV[i])[1]
  if letter then
    local fields = letter[2]
    local about = {}
    for j = 1, #fields, 2 do about[fields[j]] = fields[j + 1] end
    redis.call('xadd', KEYS[2], '*', 'm', about['m'], 'p', about['p'])
    redis.call('xdel', KEYS[1], ARGV[i])
    count = count + 1
  end
end
return count
""")
