-- Re-make the time selection of the selected item with vamp; the results become takes of the item.
--
-- In REAPER: Actions > Show action list > New action > Load ReaScript. Select an item and a time, run the action.
-- REAPER may not find `vamp` by its name: write the full path here.

local VAMP = "vamp"

local M = {}

-- Return a word as the shell of popen reads it: sh, or cmd.exe.
function M.quote(word, is_windows)
  if not is_windows then
    return "'" .. word:gsub("'", "'\\''") .. "'"
  end
  return '"' .. word:gsub('(\\*)"', '%1%1\\"'):gsub("(\\+)$", "%1%1") .. '"'
end

-- Return the command line of a list of words; its errors go to where its output goes.
function M.command_line(words, is_windows)
  local quoted = {}
  for i, word in ipairs(words) do
    quoted[i] = M.quote(word, is_windows)
  end
  local line = table.concat(quoted, " ") .. " 2>&1"
  return is_windows and '"' .. line .. '"' or line -- cmd.exe removes the outer quotation marks
end

-- Return the words of options as typed; "two words" in quotation marks are one word.
function M.split(text)
  local found, is_quoted = {}, false
  for part in (text .. '"'):gmatch('([^"]*)"') do
    if is_quoted then
      found[#found + 1] = part
    else
      for word in part:gmatch("%S+") do
        found[#found + 1] = word
      end
    end
    is_quoted = not is_quoted
  end
  return found
end

-- Return what was typed into the dialog as a table, or nil and what is wrong.
function M.parse_inputs(text)
  local command, takes, more = text:match("^%s*(%a+)%s*,%s*(%d+)%s*,(.*)$")
  if not command then
    return nil, "Name a command, and a number of takes."
  end
  if command ~= "inpaint" and command ~= "vamp" then
    return nil, command .. " changes the length, so its result is no take of the item: inpaint or vamp."
  end
  return { command = command, takes = tonumber(takes), more = M.split(more) }
end

-- Return start and end of the selection in the source file, in seconds, or nil and what is wrong.
-- item: position, length, offset (of the take in its source), rate (of playback).
function M.source_span(item, first, last)
  first, last = math.max(first, item.position), math.min(last, item.position + item.length)
  if last <= first then
    return nil, "The time selection does not lie on the item."
  end
  local function at(time)
    return item.offset + (time - item.position) * item.rate
  end
  return at(first), at(last)
end

-- Return the words of the command.
function M.words(request, source, first, last, folder)
  local words = { VAMP, request.command, source, string.format("--span=%.6f-%.6f", first, last) }
  for _, word in ipairs({ "--takes", tostring(request.takes), "--out", folder .. "/", "--quiet" }) do
    words[#words + 1] = word
  end
  for _, word in ipairs(request.more) do
    words[#words + 1] = word
  end
  return words
end

-- Return the lines of an output that name files.
function M.paths(output, exists)
  local found = {}
  for line in output:gmatch("[^\r\n]+") do
    if exists(line) then
      found[#found + 1] = line
    end
  end
  return found
end

local function exists(path)
  local file = io.open(path, "rb")
  return file ~= nil and file:close()
end

-- Run a command line; return its output, and whether it succeeded.
function M.run(line)
  local pipe = assert(io.popen(line, "r"))
  local output = pipe:read("a")
  return output, pipe:close() == true
end

-- Add a file as a take that lies as another take does.
local function add_take(item, like, path)
  local take = reaper.AddTakeToMediaItem(item)
  reaper.SetMediaItemTake_Source(take, reaper.PCM_Source_CreateFromFile(path))
  for _, name in ipairs({ "D_STARTOFFS", "D_PLAYRATE", "D_PITCH", "B_PPITCH", "D_VOL", "D_PAN", "I_CHANMODE" }) do
    reaper.SetMediaItemTakeInfo_Value(take, name, reaper.GetMediaItemTakeInfo_Value(like, name))
  end
  reaper.GetSetMediaItemTakeInfo_String(take, "P_NAME", path:match("[^/\\]+$"), true)
  return take
end

-- Return the selected item, its take and the path of the source, or nil and what is wrong.
local function selected()
  local item = reaper.GetSelectedMediaItem(0, 0)
  local take = item and reaper.GetActiveTake(item)
  if not take then
    return nil, "Select an item."
  end
  local source = reaper.GetMediaItemTake_Source(take)
  local path = reaper.GetMediaSourceFileName(source, "")
  if reaper.GetMediaSourceType(source, "") == "SECTION" or path == "" then
    return nil, "The item is a section, reversed, or no recording: glue it first."
  end
  return item, take, path
end

-- Make takes of the selection; return nil, or what is wrong.
local function make()
  local item, take, path = selected()
  if not item then
    return take
  end
  local place = {
    position = reaper.GetMediaItemInfo_Value(item, "D_POSITION"),
    length = reaper.GetMediaItemInfo_Value(item, "D_LENGTH"),
    offset = reaper.GetMediaItemTakeInfo_Value(take, "D_STARTOFFS"),
    rate = reaper.GetMediaItemTakeInfo_Value(take, "D_PLAYRATE"),
  }
  local first, last = M.source_span(place, reaper.GetSet_LoopTimeRange(false, false, 0, 0, false))
  if not first then
    return last
  end
  local captions = "Command (inpaint or vamp),Takes,More options,extrawidth=200"
  local is_ok, typed = reaper.GetUserInputs("vamp", 3, captions, "inpaint,3,")
  if not is_ok then
    return nil
  end
  local request, problem = M.parse_inputs(typed)
  if not request then
    return problem
  end
  local words = M.words(request, path, first, last, reaper.GetProjectPath("") .. "/vamp")
  local output, is_done = M.run(M.command_line(words, reaper.GetOS():find("^Win") ~= nil))
  local paths = M.paths(output, exists)
  if not is_done or #paths == 0 then
    return output ~= "" and output or "vamp was not found: write its full path into the script."
  end
  reaper.Undo_BeginBlock()
  for _, one in ipairs(paths) do
    reaper.SetActiveTake(add_take(item, take, one))
  end
  reaper.Undo_EndBlock("vamp " .. request.command, -1)
  reaper.Main_OnCommand(40047, 0) -- build missing peaks
  reaper.UpdateArrange()
  return nil
end

if reaper then
  local problem = make()
  if problem then
    reaper.ShowMessageBox(problem, "vamp", 0)
  end
end

return M
