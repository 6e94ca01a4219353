// What a doubt or a fault is called. The list answers of the API bring these words with them; the live frames
// bring only the name of the code, so the page must know them too. Adding a code to
// `firmware/measurement/src/quality.rs`? Also add its words here.

const codes: Record<string, readonly [zh: string, en: string]> = {
  OverRange: ['超量程', 'over range, counts as high'],
  UnderRange: ['略低于量程', 'slightly under range'],
  Unconfirmed: ['待复核', 'unconfirmed'],
  Stuck: ['数值卡滞', 'stuck'],
  OxygenStarved: ['缺氧,催化元件不可信', 'too little oxygen for the bead'],
  CalibrationOverdue: ['标校过期', 'calibration overdue'],
  Maintenance: ['标校或维护中', 'under calibration or test'],
  Implausible: ['数值不合理', 'implausible'],
  DeviceWarning: ['设备提示', 'device warning'],
  OverRangeLatched: ['曾超量程,待人工复位', 'was over range, needs a reset'],
  NoCommunication: ['通信中断', 'no communication'],
  DeviceRefused: ['设备拒绝应答', 'device refused'],
  DeviceFailure: ['设备故障', 'device failure'],
  SensorFailure: ['传感器故障', 'sensor failure'],
  WireBreak: ['断线', 'wire break'],
  ShortCircuit: ['短路', 'short circuit'],
  BelowRange: ['低于量程', 'below range'],
  WarmUp: ['预热中', 'warming up'],
  Inhibited: ['被抑制', 'inhibited on the device'],
  NotANumber: ['无有效数值', 'no number'],
  HeartbeatStalled: ['心跳停止', 'heartbeat stalled'],
  WrongDevice: ['设备不符', 'wrong device'],
  NotConnected: ['未接入', 'not connected'],
  Corrupt: ['数据损坏', 'corrupt reply'],
  Configuration: ['配置丢失或损坏', 'settings lost or damaged'],
  OutOfService: ['停用', 'out of service'],
  NotYetRead: ['尚未读取', 'not yet read'],
};

/** The words for a code. A code from a newer collector keeps its own name rather than losing it. */
export function codeWords(code: string): { zh: string; en: string } {
  const words = codes[code];
  return words ? { zh: words[0], en: words[1] } : { zh: code, en: code };
}
